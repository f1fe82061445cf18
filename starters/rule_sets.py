"""The catalog's alert rules, rule files read in."""

from pathlib import Path

from analysis.rule_sets import rule_sets
from models.alert_rules import RuleSet
from models.ids import Name
from runtime.catalog_file import load_catalog
from runtime.rule_files import load_rule_files


def sets_of(path: Path) -> dict[Name, RuleSet]:
    """All sets of a catalog's rules. Raises CatalogError."""
    catalog = load_catalog(path)
    return rule_sets(catalog, load_rule_files(catalog, path.absolute().parent))

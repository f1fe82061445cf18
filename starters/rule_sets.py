"""The catalog's alert rules, rule files read in."""

from pathlib import Path

from analysis.rule_bounds import LARGEST_RULES, is_too_large
from analysis.rule_sets import rule_sets
from models.alert_rules import RuleSet
from models.ids import Name
from runtime.catalog_file import CatalogError, load_catalog
from runtime.catalog_problems import Problem
from runtime.rule_files import load_rule_files


def sets_of(path: Path) -> dict[Name, RuleSet]:
    """All sets of a catalog's rules. Raises CatalogError."""
    catalog = load_catalog(path)
    sets = rule_sets(catalog, load_rule_files(catalog, path.absolute().parent))
    large = [name for name, rules in sets.items() if is_too_large(rules)]
    if large:
        limit = f"{LARGEST_RULES // 2**20} MiB, with the catalog's incidents, is what Temporal carries of a set"
        problems = (Problem(message=f"the alert rules {name} are too large: {limit}; split them") for name in large)
        raise CatalogError(path, tuple(problems))
    return sets

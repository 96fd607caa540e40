"""Lines of the harness as a table: for each event, interval and speaker the median of each field, its worst in brackets."""
import json
import sys


def cell(figures):
    if not isinstance(figures, dict) or "med" not in figures:
        return "-"
    return "%.2f [%.2f]" % (figures["med"], figures["max"])


def rows(results, path=()):
    """Every record of figures, with the keys that lead to it."""
    if any(isinstance(one, dict) and "med" in one for one in results.values()):
        yield path, results
        return
    for key, one in results.items():
        if isinstance(one, dict):
            yield from rows(one, path + (key,))


def main(fields, lines):
    print("| what | speaker | n | " + " | ".join(fields) + " |")
    print("|---|---|---|" + "---|" * len(fields))
    table = [(path, line["driver"], found) for line in lines for path, found in rows(line["results"])]
    for path, driver, found in sorted(table, key=lambda row: row[0]):
        cells = [cell(found.get(field)) for field in fields]
        print("| %s | %s | %s | %s |" % (" ".join(path), driver, found.get("n", ""), " | ".join(cells)))


main(sys.argv[1:], [json.loads(line) for line in sys.stdin if line.startswith("{")])

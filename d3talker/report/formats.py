"""A table as text: Markdown, and LaTeX with booktabs."""

from d3talker.report.tables import (
    NOT_RUN,
    SOURCES,
    Table,
    heading,
    label_heads,
    labels,
    shown,
)

LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    # A bracket would be read as the option of the \\ or \item before it.
    "[": "{[}",
    "]": "{]}",
}


def markdown(table: Table) -> str:
    """The table as a Markdown document."""
    heads = [*label_heads(table), *map(heading, table.metrics.values())]
    align = ["---"] * len(label_heads(table)) + ["---:"] * len(table.metrics)
    lines = [[escape_markdown(head) for head in heads], align]
    for index, row in table.rows.iterrows():
        cells = [escape_markdown(text) for text in labels(table, row)]
        for name, metric in table.metrics.items():
            text = shown(row[name], metric)
            cells.append(f"**{text}**" if table.best.at[index, name] else text)
        lines.append(cells)
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = "\n".join(f"- {note}" for note in table.footnotes)
    return f"# {table.title}\n\n{body}\n\n{notes}\n"


def escape_markdown(text: str) -> str:
    """`text` as the content of a cell."""
    return text.replace("|", r"\|")


def latex(table: Table, name: str) -> str:
    """The table as a LaTeX float, labelled tab:`name`; needs booktabs, and xcolor for rows not run.

    Rows that were not run are grey, and the notes stand below as a list.
    """
    heads = [*label_heads(table), *map(heading, table.metrics.values())]
    columns = "l" * len(label_heads(table)) + "r" * len(table.metrics)
    lines = []
    for index, row in table.rows.iterrows():
        cells = [escape_latex(text) for text in labels(table, row)]
        for metric, spec in table.metrics.items():
            text = escape_latex(shown(row[metric], spec))
            cells.append(rf"\textbf{{{text}}}" if table.best.at[index, metric] else text)
        if row["status"] == NOT_RUN:
            cells = [rf"\textcolor{{gray}}{{{cell}}}" for cell in cells]
        if row["source"] == SOURCES[0] and lines:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(cells) + r" \\")
    notes = [rf"\item {escape_latex(note)}" for note in table.footnotes]
    return "\n".join(
        [
            r"% \usepackage{booktabs,xcolor}",
            r"\begin{table*}",
            r"\centering\footnotesize",
            rf"\caption{{{escape_latex(table.title)}}}",
            rf"\label{{tab:{name}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escape_latex, heads)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\begin{itemize}",
            *notes,
            r"\end{itemize}",
            r"\end{table*}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """`text` with every character that means something to LaTeX written so that it is shown."""
    return "".join(LATEX.get(character, character) for character in text)

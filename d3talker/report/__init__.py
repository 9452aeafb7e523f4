"""Tables of measured runs beside the paper's numbers, and the HTML report."""

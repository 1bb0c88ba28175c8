"""What other libraries compute, one function for each row of the tables of docs/conventions.md, under its name."""

"""Dataset folders of other programs (InsTaG and its relatives) as people of this project."""

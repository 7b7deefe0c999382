"""What the pages of the questions show: tables and figures of records of experiments."""

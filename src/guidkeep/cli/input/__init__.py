"""Files of records: their formats, and how their records are read in bounded memory."""

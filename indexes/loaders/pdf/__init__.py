"""PDF files: pages, rows, tables, headings, titles, hidden text and scans."""

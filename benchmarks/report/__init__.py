"""What results say to people: tables, a picture, a page, a comparison."""

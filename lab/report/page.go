package report

// Page is the report as a page of its own.
func (r Report) Page() ([]byte, error) { return nil, nil }

package cert

// Shown is what one server shows in the place of an expected record, asked by itself and not as a part of a check.
type Shown struct {
	Right bool     // the expected record is there
	Text  []string // as in a zone file: "CNAME other.example"
}

package authority

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// fuzzed is a zone of names below "z.", each with one type, made of a fuzzer's bytes.
type fuzzed struct {
	types  map[string]uint16 // of each name with records
	exists map[string]bool   // those, and the names above them
}

// newFuzzed reads names of up to three labels from text such as "a.b *.c a".
func newFuzzed(text string) fuzzed {
	f := fuzzed{types: map[string]uint16{"z.": dns.TypeSOA}, exists: map[string]bool{"z.": true}}
	for i, word := range strings.Fields(text) {
		name := fuzzedName(word)
		if name == "z." || i > 20 {
			continue
		}
		f.types[name] = []uint16{dns.TypeTXT, dns.TypeCAA, dns.TypeCNAME}[len(word)%3]
		for at := name; at != "z."; at = above(at) {
			f.exists[at] = true
		}
	}
	return f
}

// fuzzedName keeps three labels of a word, each one of *, a, b … h.
func fuzzedName(word string) string {
	name := "z."
	for i, label := range strings.Split(word, ".") {
		if label == "" || i == 3 {
			break
		}
		letter := string("*abcdefgh"[int(label[0])%9])
		name = letter + "." + name
	}
	return name
}

// source is where the records of a name come from: the name, a wildcard, or nowhere.
func (f fuzzed) source(name string) string {
	if f.exists[name] {
		return name
	}
	encloser := above(name)
	for !f.exists[encloser] {
		encloser = above(encloser)
	}
	if wildcard := "*." + encloser; f.exists[wildcard] {
		return wildcard
	}
	return ""
}

// nsec is the zone's chain. The order is made from reversed text, not by the code under test.
func (f fuzzed) nsec() []dns.RR {
	place := func(name string) string {
		labels := dns.SplitDomainName(name)
		slices.Reverse(labels)
		return strings.Join(labels, "\x00")
	}
	var names []string
	for name := range f.types {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(place(a), place(b)) })
	var chain []dns.RR
	for i, name := range names {
		chain = append(chain, &dns.NSEC{Hdr: dns.RR_Header{Name: name}, NextDomain: names[(i+1)%len(names)], TypeBitMap: []uint16{f.types[name]}})
	}
	return chain
}

// nsec3 is the zone's chain of hashes.
func (f fuzzed) nsec3() []dns.RR {
	var hashes []string
	types := map[string]uint16{}
	for name := range f.exists {
		hash := dns.HashName(name, dns.SHA1, 0, "")
		hashes, types[hash] = append(hashes, hash), f.types[name]
	}
	slices.Sort(hashes)
	var chain []dns.RR
	for i, hash := range hashes {
		chain = append(chain, &dns.NSEC3{
			Hdr: dns.RR_Header{Name: strings.ToLower(hash) + ".z."}, Hash: dns.SHA1, NextDomain: hashes[(i+1)%len(hashes)],
			TypeBitMap: []uint16{types[hash]},
		})
	}
	return chain
}

// FuzzDenial holds what a zone's records prove against what is in the zone: all of them together prove the truth, and no part of them
// proves anything else.
func FuzzDenial(f *testing.F) {
	f.Add("a b.a *.c d.e.f", "x", uint32(1))
	f.Add("a b.a *.c d.e.f", "g.c", uint32(0xffff))
	f.Add("*", "a.a.a", uint32(2))
	f.Add("", "a", uint32(1))
	f.Add("b.c", "c", uint32(3))
	f.Fuzz(func(t *testing.T, text, word string, part uint32) {
		zone, name := newFuzzed(text), fuzzedName(word)
		if strings.Contains(name[1:], "*") { // a name below a wildcard: no question is asked about one
			return
		}
		source := zone.source(name)
		for _, chain := range [][]dns.RR{zone.nsec(), zone.nsec3()} {
			some := slices.DeleteFunc(slices.Clone(chain), func(rr dns.RR) bool { return part>>(slices.Index(chain, rr)%32)&1 == 0 })
			whole, piece := newDenial("z.", chain), newDenial("z.", some)
			if missing := whole.noName(name); (missing == "") != (source == "") {
				t.Errorf("%s of %v: source %q, and: %q", name, zone.types, source, missing)
			}
			if missing := piece.noName(name); missing == "" && source != "" {
				t.Errorf("a part of the zone denies %s, which comes from %s", name, source)
			}
			for _, qtype := range []uint16{dns.TypeTXT, dns.TypeCAA} {
				there := zone.types[source] == qtype || zone.types[source] == dns.TypeCNAME
				if missing := whole.noData(name, qtype); (missing == "") != (source != "" && !there) {
					t.Errorf("%s %d of %v: source %q, and: %q", name, qtype, zone.types, source, missing)
				}
				if missing := piece.noData(name, qtype); missing == "" && (source == "" || there) {
					t.Errorf("a part of the zone denies type %d of %s, which comes from %q", qtype, name, source)
				}
			}
			if encloser, made := strings.CutPrefix(source, "*."); made && source != name {
				if missing := whole.noCloser(name, encloser); missing != "" {
					t.Errorf("%s of %v: %q", name, zone.types, missing)
				}
			} else if piece.noCloser(name, above(name)) == "" && zone.exists[name] {
				t.Errorf("a part of the zone lets a wildcard stand for %s, which exists", name)
			}
		}
	})
}

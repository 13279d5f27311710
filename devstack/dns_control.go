package main

import "net/http"

// dnsControl is what `devstack dns …` talks to.
func dnsControl(store *recordStore) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /records", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, store.list(), nil)
	})
	mux.HandleFunc("POST /records", func(w http.ResponseWriter, r *http.Request) {
		record, err := readBody[dnsRecord](r)
		if err == nil {
			err = store.set(record)
		}
		writeAnswer(w, nil, err)
	})
	mux.HandleFunc("DELETE /records", func(w http.ResponseWriter, r *http.Request) {
		record, err := readBody[dnsRecord](r)
		if err == nil {
			err = store.del(record)
		}
		writeAnswer(w, nil, err)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		fault, err := readBody[struct{ Name, Kind string }](r)
		if err == nil {
			err = store.setFault(fault.Name, fault.Kind)
		}
		writeAnswer(w, nil, err)
	})
	return mux
}

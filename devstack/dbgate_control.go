package main

import (
	"net/http"
	"time"
)

// faultRequest orders a fault of the gate, as words: "slow", "200".
type faultRequest struct {
	Fault   []string `json:"fault"`
	Seconds float64  `json:"seconds,omitempty"` // 0: until another one is ordered
}

type lockRequest struct {
	Table   string  `json:"table"` // all: every table of the product
	Seconds float64 `json:"seconds"`
}

// dbControl is what `devstack db …` talks to.
func dbControl(g *dbGate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeAnswer(w, g.stats(), nil) })
	mux.HandleFunc("GET /triggers", func(w http.ResponseWriter, _ *http.Request) { writeAnswer(w, g.listTriggers(), nil) })
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		order, err := readBody[faultRequest](r)
		if err == nil {
			var f gateFault
			if f, err = parseGateFault(order.Fault...); err == nil {
				err = g.set(r.Context(), f, seconds(order.Seconds))
			}
		}
		writeAnswer(w, nil, err)
	})
	mux.HandleFunc("POST /lock", func(w http.ResponseWriter, r *http.Request) {
		order, err := readBody[lockRequest](r)
		var tables []string
		if err == nil {
			tables, err = g.lock(order.Table, seconds(order.Seconds))
		}
		writeAnswer(w, tables, err)
	})
	mux.HandleFunc("POST /triggers", func(w http.ResponseWriter, r *http.Request) {
		order, err := readBody[triggerOrder](r)
		var t *gateTrigger
		if err == nil {
			t, err = g.addTrigger(order)
		}
		writeAnswer(w, t, err)
	})
	mux.HandleFunc("POST /release", func(w http.ResponseWriter, r *http.Request) {
		order, err := readBody[struct{ ID int }](r)
		if err == nil {
			err = g.releaseTrigger(order.ID)
		}
		writeAnswer(w, nil, err)
	})
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, r *http.Request) { writeAnswer(w, nil, g.reset(r.Context())) })
	return mux
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

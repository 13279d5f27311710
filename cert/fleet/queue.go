package fleet

import "time"

// event is the next act of a domain.
type event struct {
	at     time.Duration // since the start
	domain int32
}

// before puts events into one order, so that a seed gives one simulation.
func (e event) before(other event) bool {
	return e.at < other.at || e.at == other.at && e.domain < other.domain
}

// queue is a heap of events, the first one first. container/heap would make a value on the heap of each event.
type queue []event

func (q *queue) push(e event) {
	*q = append(*q, e)
	list := *q
	for i := len(list) - 1; i > 0; {
		parent := (i - 1) / 2
		if !list[i].before(list[parent]) {
			return
		}
		list[i], list[parent] = list[parent], list[i]
		i = parent
	}
}

// replaceFirst puts an event in the place of the first one.
func (q queue) replaceFirst(e event) {
	q[0] = e
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < len(q) && q[child].before(q[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

package fleet

import (
	"context"
	"sort"
)

// SmallestOverride returns the smallest number of new orders in 3 hours with which nothing expires; found is false if there is none.
// Something must expire with the plan's own limit.
func (p Plan) SmallestOverride(ctx context.Context, progress func(orders int)) (orders int, found bool, err error) {
	enough := func(orders int) bool {
		if err != nil {
			return false
		}
		if progress != nil {
			progress(orders)
		}
		tried := p
		tried.OverrideOrders = orders
		s := newSimulation(tried)
		err = s.run(ctx, nil, func() bool { return s.result.Expired > 0 || s.atRest() })
		return err == nil && s.result.Expired == 0
	}
	low := p.limits().OrdersPer3Hours
	high := low
	for {
		if high == maxOrders {
			return 0, false, err
		}
		high = min(2*high, maxOrders)
		if enough(high) {
			break
		}
		if err != nil {
			return 0, false, err
		}
		low = high
	}
	orders = low + 1 + sort.Search(high-low-1, func(n int) bool { return enough(low + 1 + n) })
	return orders, err == nil, err
}

package ledger

import (
	"cmp"
	"maps"
	"slices"
)

// snapshot is what one process knows about all processes that share a ledger.
type snapshot struct {
	candidates map[string]map[string]bool // live process to the accounts for which it calls Lead
	leases     map[string]string          // account to the holder of its valid lease
}

// shares are the accounts whose leases a process takes and gives so that leases are
// spread evenly.
type shares struct {
	take  []string // free, and due to this process
	spare []string // free and due to another process, but this one is a candidate too
	give  []string // held by this process, and due to another
}

// share returns the shares of the process me. The arithmetic is the same in every
// process: those with the same snapshot agree on who takes what. Once each has done
// its part, two candidates for the same accounts differ by at most one lease. A
// lease moves only from a process that has at least two more than the one that
// takes it, so leases do not move back and forth.
func (p snapshot) share(me string) (s shares) {
	load := map[string]int{}
	held := map[string][]string{}
	for _, account := range slices.Sorted(maps.Keys(p.leases)) {
		if holder := p.leases[account]; p.candidates[holder] != nil {
			load[holder]++
			held[holder] = append(held[holder], account)
		}
	}
	order := slices.Collect(maps.Keys(p.candidates))
	byLoad := func(a, b string) int { return cmp.Or(cmp.Compare(load[a], load[b]), cmp.Compare(a, b)) }
	for _, account := range p.free() {
		slices.SortFunc(order, byLoad)
		due := slices.IndexFunc(order, func(id string) bool { return p.candidates[id][account] })
		load[order[due]]++
		switch {
		case order[due] == me:
			s.take = append(s.take, account)
		case p.candidates[me][account]:
			s.spare = append(s.spare, account)
		}
	}
	for {
		slices.SortFunc(order, byLoad)
		from, to, i := p.move(order, load, held)
		if i < 0 {
			return s
		}
		if from == me {
			s.give = append(s.give, held[from][i])
		}
		held[from] = slices.Delete(held[from], i, i+1)
		load[from]--
		load[to]++
	}
}

// free returns, in order, the accounts that have candidates and no valid lease.
func (p snapshot) free() []string {
	free := map[string]bool{}
	for _, accounts := range p.candidates {
		for account := range accounts {
			if p.leases[account] == "" {
				free[account] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(free))
}

// move returns the next lease to move: the i-th that from holds. i is -1 when
// the leases are spread evenly. order has the processes by load, the least first.
func (p snapshot) move(
	order []string, load map[string]int, held map[string][]string,
) (from, to string, i int) {
	for _, from := range slices.Backward(order) {
		for _, to := range order {
			if load[from]-load[to] < 2 {
				break
			}
			if i := slices.IndexFunc(held[from], func(account string) bool { return p.candidates[to][account] }); i >= 0 {
				return from, to, i
			}
		}
	}
	return "", "", -1
}

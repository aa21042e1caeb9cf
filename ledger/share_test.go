package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawSnapshot draws processes and accounts. everywhere means that every process is a
// candidate for every account.
func drawSnapshot(t *rapid.T) (p snapshot, accounts int, everywhere bool) {
	p = snapshot{map[string]map[string]bool{}, map[string]string{}}
	processes := rapid.IntRange(1, 6).Draw(t, "processes")
	accounts = rapid.IntRange(0, 60).Draw(t, "accounts")
	everywhere = rapid.Bool().Draw(t, "everywhere")
	for i := range processes {
		set := map[string]bool{}
		for a := range accounts {
			if everywhere || rapid.Bool().Draw(t, "known") {
				set[fmt.Sprintf("account %02d", a)] = true
			}
		}
		p.candidates[fmt.Sprintf("process %d", i)] = set
	}
	for a := range accounts {
		// -1 means free. One beyond the last is not in the snapshot.
		holder := rapid.IntRange(-1, processes+1).Draw(t, "holder")
		if holder >= 0 {
			p.leases[fmt.Sprintf("account %02d", a)] = fmt.Sprintf("process %d", holder)
		}
	}
	return p, accounts, everywhere
}

// TestShareIsEven has processes with the same snapshot act on their shares until
// nothing is left to do: that takes few rounds and spreads the leases evenly.
func TestShareIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, accounts, everywhere := drawSnapshot(t)
		names := slices.Sorted(maps.Keys(p.candidates))
		for rounds := 0; p.act(t, names) > 0; {
			if rounds++; rounds > 1 && everywhere || rounds > accounts {
				t.Fatalf("still not even after %d rounds", rounds)
			}
		}
		p.checkEven(t, names)
	})
}

// act has each process take and give its shares once, and then has the given leases
// taken. It returns how many were taken and given.
func (p snapshot) act(t *rapid.T, names []string) (acts int) {
	taken := map[string]string{}
	var given []string
	for _, name := range names {
		s := p.share(name)
		for _, account := range s.take {
			if taken[account] != "" || p.leases[account] != "" || !p.candidates[name][account] {
				t.Fatalf("%s takes %s, which %q%q has", name, account, taken[account], p.leases[account])
			}
			taken[account] = name
		}
		for _, account := range s.give {
			if p.leases[account] != name {
				t.Fatalf("%s gives %s, which %q has", name, account, p.leases[account])
			}
		}
		given = append(given, s.give...)
		acts += len(s.take) + len(s.give)
	}
	maps.Copy(p.leases, taken)
	for _, account := range given {
		delete(p.leases, account)
	}
	taken = map[string]string{}
	for _, name := range names { // the given leases are free now
		for _, account := range p.share(name).take {
			taken[account] = name
		}
	}
	maps.Copy(p.leases, taken)
	return acts
}

// checkEven fails if a lease could move to a process with at least two fewer, or if an
// account with a candidate is free.
func (p snapshot) checkEven(t *rapid.T, names []string) {
	load := map[string]int{}
	for _, holder := range p.leases {
		load[holder]++
	}
	for account := range p.leases {
		from := p.leases[account]
		for _, to := range names {
			if p.candidates[from] != nil && p.candidates[to][account] && load[from]-load[to] > 1 {
				t.Fatalf("%s has %d leases, %s has %d and would work for %s", from, load[from], to, load[to], account)
			}
		}
	}
	for _, name := range names {
		for account := range p.candidates[name] {
			if p.leases[account] == "" {
				t.Fatalf("no process has the lease of %s", account)
			}
		}
	}
}

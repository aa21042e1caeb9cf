package archive

import (
	"context"
	"errors"
	"hash/maphash"
	"os"
	"path/filepath"

	"fullstory-export-mcp/local"
)

const (
	// listedWhole is the most memory, in bytes, of a manifest whose files are checked at once.
	listedWhole = 40 << 20
	// listedPart is the most memory of a manifest without its pages, of each page, and of
	// the coverage in all pages, while the files of one page at a time are checked.
	listedPart = 32 << 20
)

// listed is a manifest whose files are to be checked.
type listed struct {
	Manifest
	files int
	paged bool // its files are read again from its pages, since they take too much memory at once
}

// openListed reads the manifest in root with all its pages, until ctx ends. The error is
// fs.ErrNotExist if there is none.
func openListed(ctx context.Context, root *os.Root) (l listed, err error) {
	m, err := readWithin(ctx, root, budget{left: listedWhole})
	if !errors.Is(err, errDecoded) {
		return listed{m, len(m.Files), false}, err
	}
	for range readTries {
		if l, err = openPaged(ctx, root); !errors.Is(err, ErrPageGone) {
			break
		}
	}
	return l, err
}

// openPaged reads the manifest in root, and its pages one after another. It has the
// coverage of all, and the files of none.
func openPaged(ctx context.Context, root *os.Root) (l listed, err error) {
	raw, err := local.ReadIn(root, ManifestName, MaxManifest)
	if err != nil {
		return l, unreadable(root, filepath.Join(root.Name(), ManifestName), err)
	}
	l.paged = true
	if l.Manifest, err = parse(raw, &budget{left: listedPart, ended: ctx.Err}); err != nil {
		return l, l.damaged(root, err)
	}
	l.files = len(l.Files)
	kept := &budget{left: listedPart}
	err = l.eachPage(ctx, root, func(p page) error {
		if l.files += len(p.Files); l.files > maxFiles {
			return l.damaged(root, tooManyFiles())
		}
		if err := kept.take(costOfCoverage(p.Coverage)); err != nil {
			return l.damaged(root, err)
		}
		return l.damaged(root, l.cover(p.Coverage))
	})
	return l, err
}

// each calls check with the files, in order, one part after another.
func (l *listed) each(ctx context.Context, root *os.Root, check func([]File) error) error {
	if err := check(l.Files); err != nil || !l.paged {
		return err
	}
	l.Files = nil
	return l.eachPage(ctx, root, func(p page) error { return check(p.Files) })
}

// eachPage calls each with the content of every page, one at a time.
func (l *listed) eachPage(ctx context.Context, root *os.Root, each func(page) error) error {
	read := reader(ctx, root)
	for _, at := range l.Pages {
		raw, err := at.read(read)
		if err != nil {
			return l.damaged(root, err)
		}
		p, err := parsePage(raw, &budget{left: listedPart, ended: ctx.Err})
		if err != nil {
			return l.damaged(root, err)
		}
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// damaged returns the error of the manifest in root if err is one.
func (l *listed) damaged(root *os.Root, err error) error {
	if err == nil {
		return nil
	}
	return damagedManifest(filepath.Join(root.Name(), ManifestName), err)
}

// costOfCoverage returns how many bytes of memory a coverage takes.
func costOfCoverage(c *Coverage) (n int) {
	if c == nil {
		return 0
	}
	each := windowsList(nil)
	for _, windows := range [][]Window{c.Settled, c.Provisional, c.Missing} {
		for _, w := range windows {
			n += each.size() + each.cost(w)
		}
	}
	return n
}

// names is a set of names in little memory. It may have one that was not added, with a
// chance that nobody can raise.
type names struct {
	seed maphash.Seed
	sums map[uint64]struct{}
}

func newNames() names { return names{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (n names) add(name string) { n.sums[maphash.String(n.seed, name)] = struct{}{} }

func (n names) has(name string) bool {
	_, ok := n.sums[maphash.String(n.seed, name)]
	return ok
}

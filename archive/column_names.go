package archive

import (
	"encoding/json"
	"maps"
	"slices"

	"fullstory-export-mcp/local"
)

// mostNames is the most names of columns that ColumnNames returns.
const mostNames = 100_000

// ColumnNames returns the names of the columns of all files of m, the manifest of a folder,
// sorted. Of more than 100,000 it returns the first that it finds.
func (a *Archive) ColumnNames(folder string, m Manifest) ([]string, error) {
	names := map[string]bool{}
	add := func(columns []string) {
		for _, name := range columns {
			if len(names) < mostNames {
				names[name] = true
			}
		}
	}
	add(m.Columns)
	for i, f := range m.Files {
		if i == 0 || f.ColumnsSHA256 == "" || f.ColumnsSHA256 != m.Files[i-1].ColumnsSHA256 {
			add(f.Columns)
		}
	}
	if len(m.ColumnPages) > 0 {
		if err := a.eachColumnPage(folder, m, add); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// eachColumnPage calls each with the lists of columns in the pages of a manifest, in order.
func (a *Archive) eachColumnPage(folder string, m Manifest, each func(columns []string)) error {
	root, err := a.folder(folder, false)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, p := range m.ColumnPages {
		raw, err := p.read(func(name string) ([]byte, error) { return local.ReadIn(root, name, MaxManifest) })
		var content struct{ Columns map[string][]string }
		if err == nil {
			err = json.Unmarshal(raw, &content)
		}
		if err != nil {
			return damagedManifest(a.Path(folder, ManifestName), err)
		}
		for _, sum := range slices.Sorted(maps.Keys(content.Columns)) {
			each(content.Columns[sum])
		}
	}
	return nil
}

package load

import (
	"strings"

	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/destination"
)

// duckdb reads the files from the disk.
func duckdb() engine {
	return engine{
		name: "duckdb", title: "DuckDB (1.1 or newer)",
		notes: []string{"Run it in the folder of the export, the one above parquet: duckdb my.db < FILE."},
		rule:  columnar.Rule{Most: 250}, quote: doubled(`"`),
		types: [5]string{"BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMPTZ", "VARCHAR"},
		list:  func(t string) string { return t + "[]" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s VARCHAR NOT NULL,%s\n);", s.table(""), s.windowName(),
				lines(s.definitions(s.d.Columns)))
			for _, column := range s.definitions(s.d.Columns) {
				s.line("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s;", s.table(""), column)
			}
		},
		everything: func(s *script) {
			path := "_path"
			for s.has(path) {
				path += "_"
			}
			s.line("BEGIN TRANSACTION;\nDELETE FROM %s;", s.table(""))
			s.line("INSERT INTO %s BY NAME SELECT\n  parse_filename(%s, true) AS %s,%s", s.table(""), s.quote(path),
				s.windowName(), lines(each(s.d.Columns, s.renamed)))
			s.line("FROM read_parquet('parquet/day=*/*.parquet', union_by_name = true, hive_partitioning = false, "+
				"filename = %s);\nCOMMIT;", literal(path))
		},
		window: func(s *script, g Group, window, path string) {
			columns := "*" // of which the file may have some
			for _, c := range g.Columns {
				if s.names[c.Name] != c.Name {
					columns = lines(each(g.Columns, s.renamed))
				}
			}
			s.line("BEGIN TRANSACTION;\nDELETE FROM %s WHERE %s = %s;", s.table(""), s.windowName(), literal(window))
			s.line("INSERT INTO %s BY NAME SELECT %s AS %s, %s\nFROM read_parquet(%s, hive_partitioning = false);\nCOMMIT;",
				s.table(""), literal(window), s.windowName(), columns, literal("parquet/"+path))
		},
	}
}

// has reports whether a file has a column, whatever its case.
func (s *script) has(name string) bool {
	for _, c := range s.d.Columns {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	return false
}

// renamed returns a column of a file under its name in the table.
func (s *script) renamed(c columnar.Column) string { return s.quote(c.Name) + " AS " + s.column(c) }

// clickhouse has no transactions over several statements, but exchanges partitions and tables as
// a whole.
func clickhouse() engine {
	const structure = "s3('https://BUCKET.s3.amazonaws.com/PREFIX/%s', 'Parquet', %s)"
	quote := func(name string) string { return escaped("`", name) }
	source := func(s *script, path string) string {
		columns := each(s.d.Columns, func(c columnar.Column) string { return quote(c.Name) + " " + s.kind(c) })
		return strings.NewReplacer("%s'", path+"'", "%s)", escaped("'", strings.Join(columns, ", "))+")").Replace(structure)
	}
	insert := func(s *script, table, window, path string) {
		s.line("INSERT INTO %s (%s\n)\nSELECT\n  %s,%s\nFROM %s", table, s.columns(s.d.Columns), window,
			lines(each(s.d.Columns, func(c columnar.Column) string { return quote(c.Name) })), source(s, path))
		s.line("SETTINGS max_partitions_per_insert_block = 0, input_format_parquet_allow_missing_columns = 1, " +
			"use_hive_partitioning = 0;")
	}
	return engine{
		name: "clickhouse", title: "ClickHouse (24.3 or newer)",
		notes: []string{
			"Replace BUCKET and PREFIX by the place of the files, or s3('https://BUCKET.s3.amazonaws.com/PREFIX/…' by " +
				"file('PREFIX/…' for files below user_files_path. Add the keys of the bucket unless the server has its own.",
			"ClickHouse has no transactions over several statements. Each window is a partition, so that readers see it " +
				"replaced as a whole; up to some thousand windows that is well. An absent list is an empty one.",
		},
		rule: columnar.Rule{Most: 200}, quote: quote,
		types: [5]string{"Nullable(Int64)", "Nullable(Float64)", "Nullable(Bool)", "Nullable(DateTime64(6, 'UTC'))",
			"Nullable(String)"},
		list: func(t string) string { return "Array(" + t + ")" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s String,%s\n) ENGINE = MergeTree PARTITION BY %s ORDER BY tuple();",
				s.table(""), s.windowName(), lines(s.definitions(s.d.Columns)), s.windowName())
			s.line("ALTER TABLE %s%s;", s.table(""), lines(s.additions()))
		},
		everything: func(s *script) {
			s.note("Readers see the old table until the new one is complete.")
			s.line("DROP TABLE IF EXISTS %s;\nCREATE TABLE %s AS %s;", s.table("_loading"), s.table("_loading"), s.table(""))
			insert(s, s.table("_loading"), "replaceRegexpOne(_file, '[.]parquet$', '')", "day=*/*.parquet")
			s.line("EXCHANGE TABLES %s AND %s;\nDROP TABLE %s;", s.table("_loading"), s.table(""), s.table("_loading"))
		},
		window: func(s *script, _ Group, window, path string) {
			table := s.table("_" + window)
			s.line("DROP TABLE IF EXISTS %s;\nCREATE TABLE %s AS %s;", table, table, s.table(""))
			insert(s, table, literal(window), path)
			s.line("ALTER TABLE %s REPLACE PARTITION %s FROM %s;\nDROP TABLE %s;", s.table(""), literal(window), table, table)
		},
	}
}

// postgresql cannot read Parquet: this program writes it as text.
func postgresql() engine {
	copyFile := func(s *script, g Group, path string) {
		s.line(`\copy %s (%s) FROM PROGRAM 'fullstory-export-mcp copy-text "parquet/%s"' `+
			"WITH (FORMAT text, HEADER MATCH, ENCODING 'UTF8')", s.table(""),
			strings.Join(append([]string{s.windowName()}, each(g.Columns, s.column)...), ", "), path)
	}
	return engine{
		name: "postgresql", title: "PostgreSQL (15 or newer)",
		notes: []string{
			"Run it with psql in the folder of the export, the one above parquet: " +
				`psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f FILE.`,
			"PostgreSQL cannot read Parquet, so this program writes the rows as text. sync add … --into postgres://… " +
				"does all of this without psql, and loads what has changed alone.",
		},
		rule: destination.Rule(), quote: doubled(`"`), grouped: true,
		types: [5]string{"bigint", "double precision", "boolean", "timestamp with time zone", "text"},
		list:  func(t string) string { return t + "[]" },
		create: func(s *script) {
			s.line("SET client_min_messages = warning;")
			s.line("CREATE TABLE IF NOT EXISTS %s (%s text NOT NULL,%s\n);", s.table(""), s.windowName(),
				lines(s.definitions(s.d.Columns)))
			s.line("ALTER TABLE %s%s;", s.table(""), lines(s.additions()))
			s.line("CREATE INDEX IF NOT EXISTS %s ON %s (%s);", s.table("_window"), s.table(""), s.windowName())
		},
		everything: func(s *script) {
			s.line("BEGIN;\nDELETE FROM %s;", s.table(""))
			for _, g := range s.d.Groups {
				for _, file := range g.Files {
					copyFile(s, g, file)
				}
			}
			s.line("COMMIT;\nANALYZE %s;", s.table(""))
		},
		window: func(s *script, g Group, window, path string) {
			s.line("BEGIN;\nDELETE FROM %s WHERE %s = %s;", s.table(""), s.windowName(), literal(window))
			copyFile(s, g, path)
			s.line("COMMIT;")
		},
	}
}

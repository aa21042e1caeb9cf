package load

import (
	"fmt"
	"strings"

	"fullstory-export-mcp/columnar"
)

// bigquery reads the files as an external table, and exchanges the rows in a transaction.
func bigquery() engine {
	table := func(s *script, suffix string) string { return s.quote("DATASET." + s.o.Table + suffix) }
	read := func(s *script, g Group, files, loading, uris string) {
		s.line("CREATE OR REPLACE EXTERNAL TABLE %s\nOPTIONS (format = 'PARQUET', uris = [%s]);", files, uris)
		s.line("CREATE TEMP TABLE %s AS SELECT\n  REGEXP_EXTRACT(_FILE_NAME, r'([^/]+)[.]parquet$') AS %s,%s\nFROM %s;",
			loading, s.windowName(), lines(each(g.Columns, s.external)), files)
		s.line("DROP EXTERNAL TABLE IF EXISTS %s;", files)
	}
	insert := func(s *script, g Group, loading string) {
		columns := s.columns(g.Columns)
		s.line("INSERT INTO %s (%s\n)\nSELECT%s\nFROM %s;", table(s, ""), columns, columns, loading)
	}
	return engine{
		name: "bigquery", title: "BigQuery",
		notes: []string{
			"Replace DATASET by your dataset, and gs://BUCKET/PREFIX by the place of the files in Cloud Storage. " +
				"Run it as one query: bq query --use_legacy_sql=false < FILE.",
			"A list of BigQuery has no NULL: elements that are NULL are left out.",
		},
		rule: columnar.Rule{Most: 300, Prefixes: []string{"_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__",
			"_COLIDENTIFIER", "_CHANGE_"}},
		quote: func(name string) string { return escaped("`", name) }, grouped: true,
		types: [5]string{"INT64", "FLOAT64", "BOOL", "TIMESTAMP", "STRING"},
		list:  func(t string) string { return "ARRAY<" + t + ">" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s STRING NOT NULL,%s\n) CLUSTER BY %s;", table(s, ""), s.windowName(),
				lines(s.definitions(s.d.Columns)), s.windowName())
			s.line("ALTER TABLE %s%s;", table(s, ""), lines(s.additions()))
		},
		everything: func(s *script) {
			for i, g := range s.d.Groups {
				uris := "'gs://BUCKET/PREFIX/day=*.parquet'"
				if len(s.d.Groups) > 1 {
					s.note("BigQuery reads files with other columns apart from these.")
					uris = lines(fileURIs("gs", g.Files)) + "\n"
				}
				read(s, g, table(s, fmt.Sprintf("_files_%d", i+1)), fmt.Sprintf("loading_%d", i+1), uris)
			}
			s.line("BEGIN TRANSACTION;\nDELETE FROM %s WHERE TRUE;", table(s, ""))
			for i, g := range s.d.Groups {
				insert(s, g, fmt.Sprintf("loading_%d", i+1))
			}
			s.line("COMMIT TRANSACTION;")
		},
		window: func(s *script, g Group, window, path string) {
			read(s, g, table(s, "_files_"+window), "loading", "'gs://BUCKET/PREFIX/"+path+"'")
			s.line("BEGIN TRANSACTION;\nDELETE FROM %s WHERE %s = %s;", table(s, ""), s.windowName(), literal(window))
			insert(s, g, "loading")
			s.line("COMMIT TRANSACTION;")
		},
	}
}

// external returns a column of an external table of BigQuery. A list is a record there, since a
// list of BigQuery cannot have NULL.
func (s *script) external(c columnar.Column) string {
	name := s.quote(c.Name)
	if !c.List {
		return name + " AS " + s.column(c)
	}
	return fmt.Sprintf("ARRAY(SELECT item.element FROM UNNEST(%s.list) AS item WITH OFFSET AS place "+
		"WHERE item.element IS NOT NULL ORDER BY place) AS %s", name, s.column(c))
}

// additions returns clauses of ALTER TABLE that add the columns which the table lacks.
func (s *script) additions() []string {
	return each(s.d.Columns, func(c columnar.Column) string {
		return "ADD COLUMN IF NOT EXISTS " + s.column(c) + " " + s.kind(c)
	})
}

// fileURIs returns the addresses of files as SQL.
func fileURIs(scheme string, files []string) (uris []string) {
	for _, file := range files {
		uris = append(uris, literal(scheme+"://BUCKET/PREFIX/"+file))
	}
	return uris
}

// snowflake reads the files from a stage.
func snowflake() engine {
	insert := func(s *script, window, source string) {
		values := each(s.d.Columns, func(c columnar.Column) string {
			return "$1:" + doubled(`"`)(c.Name) + "::" + s.kind(c)
		})
		s.line("INSERT INTO %s (%s\n)\nSELECT\n  %s,%s\nFROM %s;\nCOMMIT;", s.table(""), s.columns(s.d.Columns), window,
			lines(values), source)
	}
	stage := func(s *script, path, more string) string { // names in upper case need no quotes
		table := strings.ToUpper(s.o.Table)
		return fmt.Sprintf("'@%s_FILES%s' (FILE_FORMAT => '%s_PARQUET'%s)", table, path, table, more)
	}
	return engine{
		name: "snowflake", title: "Snowflake",
		notes: []string{
			"Replace s3://BUCKET/PREFIX/ by the place of the files, also gcs:// or azure://, and YOUR_INTEGRATION by " +
				"your storage integration. Run it with snow sql -f FILE.",
			"Names are in upper case, so that they can be read without quotes in any case.",
		},
		rule: columnar.Rule{Fold: strings.ToUpper, Most: 255}, quote: doubled(`"`),
		types: [5]string{"NUMBER(19, 0)", "FLOAT", "BOOLEAN", "TIMESTAMP_TZ", "VARCHAR"},
		list:  func(string) string { return "ARRAY" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s VARCHAR NOT NULL,%s\n);", s.table(""), s.windowName(),
				lines(s.definitions(s.d.Columns)))
			for _, column := range s.definitions(s.d.Columns) {
				s.line("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s;", s.table(""), column)
			}
			s.line("CREATE FILE FORMAT IF NOT EXISTS %s TYPE = PARQUET USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = TRUE;",
				s.table("_parquet"))
			s.line("CREATE STAGE IF NOT EXISTS %s URL = 's3://BUCKET/PREFIX/' STORAGE_INTEGRATION = YOUR_INTEGRATION;",
				s.table("_files"))
		},
		everything: func(s *script) {
			s.line("BEGIN;\nDELETE FROM %s;", s.table(""))
			insert(s, "SPLIT_PART(SPLIT_PART(METADATA$FILENAME, '/', -1), '.', 1)",
				stage(s, "", ", PATTERN => '.*day=[^/]*/[^/]*[.]parquet'"))
		},
		window: func(s *script, _ Group, window, path string) {
			s.line("BEGIN;\nDELETE FROM %s WHERE %s = %s;", s.table(""), s.windowName(), literal(window))
			insert(s, literal(window), stage(s, "/"+path, ""))
		},
	}
}

// redshift reads columns by their position, and does not say from which file a row is.
func redshift() engine {
	staged := func(s *script, g Group, name string) {
		s.line("CREATE TEMP TABLE %s (%s\n);", name, lines(s.definitions(g.Columns)))
	}
	copyFile := func(s *script, name, path string) {
		s.line("COPY %s FROM 's3://BUCKET/PREFIX/%s' IAM_ROLE default FORMAT AS PARQUET SERIALIZETOJSON;", name, path)
	}
	insert := func(s *script, g Group, window, from string) {
		s.line("INSERT INTO %s (%s\n)\nSELECT\n  %s,%s\nFROM %s;", s.table(""), s.columns(g.Columns), window,
			lines(each(g.Columns, s.column)), from)
	}
	return engine{
		name: "redshift", title: "Redshift",
		notes: []string{
			"Replace s3://BUCKET/PREFIX by the place of the files, and IAM_ROLE default by IAM_ROLE 'arn:…' if the " +
				"cluster has no default role. Times are UTC. A list is a SUPER.",
			"COPY fails at a text of over 65,535 bytes, which no column of Redshift can hold.",
		},
		rule: columnar.Rule{Fold: strings.ToLower, Most: 127}, quote: doubled(`"`), grouped: true,
		types: [5]string{"BIGINT", "DOUBLE PRECISION", "BOOLEAN", "TIMESTAMP", "VARCHAR(65535)"},
		list:  func(string) string { return "SUPER" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s VARCHAR(100) NOT NULL,%s\n);", s.table(""), s.windowName(),
				lines(s.definitions(s.d.Columns)))
			s.note("Redshift has no ADD COLUMN IF NOT EXISTS.")
			add := s.table("_add_column")
			s.line("CREATE OR REPLACE PROCEDURE %s(wanted VARCHAR(127), kind VARCHAR(127)) AS $$", add)
			s.line("DECLARE there INTEGER;\nBEGIN\n  SELECT COUNT(*) INTO there FROM svv_columns\n"+
				"    WHERE table_schema = current_schema() AND table_name = %s AND column_name = wanted;\n"+
				"  IF there = 0 THEN\n    EXECUTE 'ALTER TABLE %s ADD COLUMN ' || quote_ident(wanted) || ' ' || kind;\n"+
				"  END IF;\nEND;\n$$ LANGUAGE plpgsql;", literal(strings.ToLower(s.o.Table)), s.table(""))
			for _, c := range s.d.Columns {
				s.line("CALL %s(%s, %s);", add, literal(s.names[c.Name]), literal(s.kind(c)))
			}
		},
		everything: func(s *script) {
			s.line("BEGIN;\nDELETE FROM %s;", s.table(""))
			for i, g := range s.d.Groups {
				one, all := fmt.Sprintf("loading_%d", i+1), fmt.Sprintf("loaded_%d", i+1)
				staged(s, g, one)
				s.line("CREATE TEMP TABLE %s (%s VARCHAR(100),%s\n);", all, s.windowName(), lines(s.definitions(g.Columns)))
				for _, file := range g.Files {
					copyFile(s, one, file)
					s.line("INSERT INTO %s SELECT %s, * FROM %s;\nDELETE FROM %s;", all, literal(windowOf(file)), one, one)
				}
				insert(s, g, s.windowName(), all)
				s.line("DROP TABLE %s;\nDROP TABLE %s;", one, all)
			}
			s.line("COMMIT;")
		},
		window: func(s *script, g Group, window, path string) {
			s.line("BEGIN;")
			staged(s, g, "loading")
			copyFile(s, "loading", path)
			s.line("DELETE FROM %s WHERE %s = %s;", s.table(""), s.windowName(), literal(window))
			insert(s, g, literal(window), "loading")
			s.line("DROP TABLE loading;\nCOMMIT;")
		},
	}
}

// databricks replaces rows of a Delta table in one commit.
func databricks() engine {
	source := func(s *script, path string) string {
		schema := each(s.d.Columns, func(c columnar.Column) string { return s.quote(c.Name) + " " + s.kind(c) })
		return fmt.Sprintf("read_files('s3://BUCKET/PREFIX/%s', format => 'parquet', partitionColumns => '',\n"+
			"  schema => %s)", path, escaped("'", strings.Join(schema, ", ")))
	}
	return engine{
		name: "databricks", title: "Databricks (SQL warehouse, or a runtime whose INSERT has REPLACE WHERE with BY NAME)",
		notes: []string{
			"Replace s3://BUCKET/PREFIX by the place of the files, also abfss://, gs:// or /Volumes/….",
		},
		rule: columnar.Rule{Most: 255}, quote: doubled("`"),
		types: [5]string{"BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "STRING"},
		list:  func(t string) string { return "ARRAY<" + t + ">" },
		create: func(s *script) {
			s.line("CREATE TABLE IF NOT EXISTS %s (%s STRING NOT NULL,%s\n) CLUSTER BY (%s);", s.table(""), s.windowName(),
				lines(s.definitions(s.d.Columns)), s.windowName())
			s.note("No row is inserted; the columns that the table lacks are added.")
			s.line("INSERT WITH SCHEMA EVOLUTION INTO %s BY NAME SELECT\n  '' AS %s,%s\nWHERE false;", s.table(""),
				s.windowName(), lines(each(s.d.Columns, func(c columnar.Column) string {
					return "CAST(NULL AS " + s.kind(c) + ") AS " + s.column(c)
				})))
		},
		everything: func(s *script) {
			s.line("INSERT OVERWRITE %s BY NAME SELECT\n  regexp_replace(_metadata.file_name, '[.]parquet$', '') AS %s,%s\n"+
				"FROM %s;", s.table(""), s.windowName(), lines(each(s.d.Columns, s.renamed)), source(s, "day=*/*.parquet"))
		},
		window: func(s *script, _ Group, window, path string) {
			s.line("INSERT INTO %s BY NAME REPLACE WHERE %s = %s\nSELECT\n  %s AS %s,%s\nFROM %s;", s.table(""),
				s.windowName(), literal(window), literal(window), s.windowName(), lines(each(s.d.Columns, s.renamed)),
				source(s, path))
		},
	}
}

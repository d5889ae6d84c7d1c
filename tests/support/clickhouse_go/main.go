// A client as Grafana's data source is one: clickhouse-go behind database/sql, over HTTP, its answers in gzip.
//
//	clickhouse_go HOST:PORT DATABASE TOKEN COMPRESSION
//
// It pings, then answers each line of standard input (a JSON string of SQL, after it the values of its parameters) by
// one line of JSON: {"columns", "types", "rows"} or {"error", "code"}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/ClickHouse/clickhouse-go/v2"
)

type answer struct {
	Columns []string `json:"columns,omitempty"`
	Types   []string `json:"types,omitempty"`
	Rows    [][]any  `json:"rows"`
	Error   string   `json:"error,omitempty"`
	Code    int32    `json:"code,omitempty"`
}

type question struct {
	SQL        string            `json:"sql"`
	Parameters map[string]string `json:"parameters"`
}

func main() {
	methods := map[string]clickhouse.CompressionMethod{"none": clickhouse.CompressionNone, "gzip": clickhouse.CompressionGZIP}
	db := clickhouse.OpenDB(&clickhouse.Options{
		Addr:        []string{os.Args[1]},
		Auth:        clickhouse.Auth{Database: os.Args[2], Username: "grafana", Password: os.Args[3]},
		Protocol:    clickhouse.HTTP,
		Compression: &clickhouse.Compression{Method: methods[os.Args[4]], Level: 6},
		Settings:    clickhouse.Settings{"max_execution_time": 60},
	})
	if err := db.Ping(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		ctx := context.Background()
		if asked.Parameters != nil {
			ctx = clickhouse.Context(ctx, clickhouse.WithParameters(asked.Parameters))
		}
		var found answer
		if rows, err := db.QueryContext(ctx, asked.SQL); err != nil {
			found = failed(err)
		} else {
			found.Columns, _ = rows.Columns()
			kinds, _ := rows.ColumnTypes()
			for _, kind := range kinds {
				found.Types = append(found.Types, kind.DatabaseTypeName())
			}
			found.Rows = [][]any{}
			for rows.Next() {
				values := make([]any, len(found.Columns))
				places := make([]any, len(values))
				for at := range values {
					places[at] = &values[at]
				}
				if err := rows.Scan(places...); err != nil {
					panic(err)
				}
				found.Rows = append(found.Rows, values)
			}
			if err := rows.Err(); err != nil {
				found = failed(err)
			}
			rows.Close()
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}
}

func failed(err error) answer {
	found := answer{Error: err.Error()}
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		found.Code = exception.Code
	}
	return found
}

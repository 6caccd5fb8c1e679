package tables

import (
	"context"
	"runtime"
)

// chunk is how many documents are decoded at a time.
const chunk = 256

// ordered reads a query of one document a row and visits them in its order. Where there are many, they are decoded on all
// cores, which costs more than reading them; visit is called by the caller's goroutine alone.
func ordered[T any](ctx context.Context, q Querier, query string, args []any, decode func([]byte) (T, error), visit func(T) error) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // after Err has been asked
	texts, err := readChunk(rows)
	if err != nil {
		return err
	}
	for _, text := range texts {
		v, err := decode(text)
		if err != nil {
			return err
		}
		if err := visit(v); err != nil {
			return err
		}
	}
	if len(texts) < chunk {
		return nil
	}
	return parallel(rows, decode, visit)
}

// readChunk reads the next rows: fewer than a chunk when there are no more.
func readChunk(rows Rows) ([][]byte, error) {
	texts := make([][]byte, 0, chunk)
	for len(texts) < chunk && rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	if len(texts) < chunk {
		return texts, rows.Err()
	}
	return texts, nil
}

// decoded is a part of the rows on its way: texts, then values or an error once done is closed.
type decoded[T any] struct {
	texts  [][]byte
	values []T
	err    error
	done   chan struct{}
}

func parallel[T any](rows Rows, decode func([]byte) (T, error), visit func(T) error) error {
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *decoded[T], workers)
	inOrder := make(chan *decoded[T], 4*workers)
	stop := make(chan struct{})
	read := make(chan error, 1)
	for range workers {
		go func() {
			for d := range work {
				d.values = make([]T, len(d.texts))
				for i, text := range d.texts {
					if d.values[i], d.err = decode(text); d.err != nil {
						break
					}
				}
				d.texts = nil
				close(d.done)
			}
		}()
	}
	go func() {
		defer close(work)
		defer close(inOrder)
		for {
			texts, err := readChunk(rows)
			if err != nil || len(texts) == 0 {
				read <- err
				return
			}
			d := &decoded[T]{texts: texts, done: make(chan struct{})}
			select {
			case inOrder <- d:
				work <- d
			case <-stop:
				read <- nil
				return
			}
		}
	}()
	err := func() error {
		for d := range inOrder {
			<-d.done
			if d.err != nil {
				return d.err
			}
			for _, v := range d.values {
				if err := visit(v); err != nil {
					return err
				}
			}
		}
		return nil
	}()
	close(stop)
	if rerr := <-read; err == nil { // the rows are nobody's but ours again
		err = rerr
	}
	return err
}

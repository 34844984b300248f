// Command sumdb-oracle gives the verdicts of Go's own checksum-database client, golang.org/x/mod/sumdb, on the cases
// that it reads, one JSON object a line. It prints "accept HASH" or "reject REASON" for each.
//
// A case that has "files" replaces the files that the server has; one with "changed" changes some of them for itself.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
)

type testCase struct {
	Key     string            // verifier key
	Height  int               // of tiles; 0 is the usual one
	Latest  []byte            // signed note of the latest known tree, or nothing
	Module  string            // what is looked up
	Version string            // and its version
	Files   map[string][]byte // the server's files by path, kept for later cases
	Changed map[string][]byte // files of this case alone; an empty one does not exist
}

// ops serves one case from memory.
type ops struct {
	testCase
	files map[string][]byte

	mu     sync.Mutex
	latest []byte
	fatal  string
}

var errAbsent = errors.New("404 not found")

func (o *ops) ReadRemote(path string) ([]byte, error) {
	if data, ok := o.Changed[path]; ok {
		if len(data) == 0 {
			return nil, errAbsent
		}
		return data, nil
	}
	if data, ok := o.files[path]; ok {
		return data, nil
	}
	return nil, errAbsent
}

func (o *ops) ReadConfig(file string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if file == "key" {
		return []byte(o.Key), nil
	}
	return o.latest, nil
}

func (o *ops) WriteConfig(file string, old, new []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if string(o.latest) != string(old) {
		return sumdb.ErrWriteConflict
	}
	o.latest = new
	return nil
}

func (o *ops) ReadCache(file string) ([]byte, error) { return nil, errAbsent }
func (o *ops) WriteCache(file string, data []byte)   {}
func (o *ops) Log(msg string)                        {}
func (o *ops) SecurityError(msg string)              { o.fatal = msg }

// judge looks the module up as cmd/go does: at least one line must hold an h1 hash of it.
func judge(c testCase, files map[string][]byte) (hash string, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	o := &ops{testCase: c, files: files, latest: c.Latest}
	client := sumdb.NewClient(o)
	if c.Height > 0 {
		client.SetTileHeight(c.Height)
	}
	lines, err := client.Lookup(c.Module, c.Version)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		if h, ok := strings.CutPrefix(line, c.Module+" "+c.Version+" h1:"); ok {
			return "h1:" + h, nil
		}
	}
	return "", errors.New("checksum missing")
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	files := map[string][]byte{}
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var c testCase
		if err := decoder.Decode(&c); err != nil {
			fmt.Fprintln(os.Stderr, "sumdb-oracle:", err)
			os.Exit(1)
		}
		if c.Files != nil {
			files = maps.Clone(c.Files)
		}
		if hash, err := judge(c, files); err != nil {
			// Quoted: the reason may repeat whatever bytes it found.
			fmt.Fprintf(out, "reject %+.200q\n", err.Error())
		} else {
			fmt.Fprintf(out, "accept %s\n", hash)
		}
	}
}

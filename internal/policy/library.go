package policy

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/dibs-deals/dibs/internal/document"
)

//go:embed programmes/*.yaml
var programmes embed.FS

// DefaultName is the name of the policy a new database starts with.
const DefaultName = "default"

// LibraryPolicy is one policy of the library.
type LibraryPolicy struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Body  []byte `json:"-"`
}

// Library returns the policies that come with the program, by name, the default first.
func Library() []LibraryPolicy {
	names, err := fs.Glob(programmes, "programmes/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var out []LibraryPolicy
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "programmes/"), ".yaml")
		body, _ := Programme(name)
		var head struct {
			Metadata metadataDoc `yaml:"metadata"`
		}
		document.Parse(body, maxDocument).Read(&head)
		entry := LibraryPolicy{Name: name, Title: head.Metadata.Title, Body: body}
		if name == DefaultName {
			out = append([]LibraryPolicy{entry}, out...)
		} else {
			out = append(out, entry)
		}
	}
	return out
}

// Programme returns a policy of the library by its name.
func Programme(name string) ([]byte, bool) {
	body, err := programmes.ReadFile("programmes/" + name + ".yaml")
	return body, err == nil
}

// Default returns the policy a new database starts with.
func Default() []byte {
	body, ok := Programme(DefaultName)
	if !ok {
		panic("policy: the default policy is missing from the program")
	}
	return body
}

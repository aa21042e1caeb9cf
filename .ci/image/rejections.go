package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// rejections checks that the builder makes no image of what would not work, or would be
// labelled wrongly.
func (c check) rejections() error {
	dockerfile, err := os.ReadFile("../../deploy/Dockerfile")
	if err != nil {
		return err
	}
	// changed returns the path of a copy of the Dockerfile with another text.
	changed := func(name, old, new string) string {
		path := filepath.Join(c.folder, "Dockerfile."+name)
		text := strings.Replace(string(dockerfile), old, new, 1)
		if text == string(dockerfile) {
			panic("deploy/Dockerfile lacks " + old)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err)
		}
		return path
	}
	names := filepath.Join(c.folder, "names")
	if err := os.WriteFile(names, []byte("OWNER=somebody\n"), 0o600); err != nil {
		return err
	}
	cases := []struct {
		name, says string
		further    []string
	}{
		{"the program of another platform", "not for arm64", []string{"-arm64", c.programs["amd64"]}},
		{"a dynamic program", "is not static", []string{"-amd64", "/bin/true"}},
		{"a static program of another project", "it was built from", []string{"-amd64", c.builder}},
		{"no program", "bad magic number", []string{"-amd64", "main.go"}},
		{"a short revision", "40 hexadecimal digits", []string{"-revision", "0123456"}},
		{"names without that of the server", "lacks OWNER or SERVER_NAME", []string{"-names", names}},
		{"another user", "the user is 0:0", []string{"-dockerfile", changed("user", "USER 65532:65532", "USER 0:0")}},
		{"another file", "copies", []string{"-dockerfile", changed("copy", "COPY --from=build /out/fullstory",
			"COPY --from=build /etc/hosts /hosts\nCOPY --from=build /out/fullstory")}},
		{"an instruction that the image would lack", "STOPSIGNAL is not known",
			[]string{"-dockerfile", changed("signal", "USER ", "STOPSIGNAL SIGINT\nUSER ")}},
		{"a folder that exists", "exists", []string{"-out", c.folder}},
	}
	if hasCommit {
		other := []string{"-revision", strings.Repeat("0", 40)}
		cases = append(cases, cases[0])
		cases[0].name, cases[0].says, cases[0].further = "another commit", "it was built from the commit", other
	}
	for _, each := range cases {
		_, err := c.build(filepath.Join(c.folder, "rejected"), each.further...)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(each.says)) {
			return fmt.Errorf("%s: got %v, not an error with %q", each.name, err, each.says)
		}
	}
	fmt.Printf("the builder rejects %d mistakes\n", len(cases))
	return nil
}

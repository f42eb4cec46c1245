package check

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConsumer uses a release as a stranger does. Every module of the workspace is packed, byte for byte as it is
// here, under the version by which the modules require each other, into a module proxy made of files; programs
// outside the repository then get each module from there, where neither go.work nor a replace leads to this tree.
func TestConsumer(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads and compiles every module anew")
	}
	modules := modulesOfWorkspace(t)
	version := releaseVersion(t, modules)
	release := t.TempDir()
	for _, m := range modules {
		pack(t, release, m, version)
	}
	s := stranger{env: strangersEnv(t, release), version: version}

	t.Run("root", func(t *testing.T) {
		program, err := os.ReadFile(filepath.Join("testdata", "consumer.go.txt"))
		if err != nil {
			t.Fatal(err)
		}
		dir := s.newModule(t)
		if err := os.WriteFile(filepath.Join(dir, "main.go"), program, 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(t, dir, "get", module+"@"+version)
		if got := s.run(t, dir, "run", "."); got != "loads: 2\n" {
			t.Errorf("the program printed %q", got)
		}
		s.run(t, dir, "build", module+"/...")
		for line := range strings.Lines(s.run(t, dir, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
			dep := strings.TrimSpace(line)
			if dep != "" && dep != "example.test/stranger" && dep != module && !slices.Contains(builtWith, dep) {
				t.Errorf("a program that uses tarn is built with %s too", dep)
			}
		}
	})
	for _, m := range modules {
		if m.Path == module {
			continue
		}
		t.Run(strings.TrimPrefix(m.Path, module+"/"), func(t *testing.T) {
			dir := s.newModule(t)
			s.run(t, dir, "get", m.Path+"@"+version)
			s.run(t, dir, "build", m.Path+"/...")
			if m.Path == module+"/examples" {
				s.run(t, dir, "run", m.Path+"/quickstart", "-ops", "2000")
			}
		})
	}
}

// moduleOf is a module of the workspace.
type moduleOf struct{ Path, Dir string }

func modulesOfWorkspace(t *testing.T) []moduleOf {
	t.Helper()
	work, err := filepath.Abs(filepath.Join(root, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	out := command(t, root, append(os.Environ(), "GOWORK="+work), "go", "list", "-m", "-json=Path,Dir")
	var modules []moduleOf
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var m moduleOf
		if err := dec.Decode(&m); err == io.EOF {
			return modules
		} else if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m)
	}
}

// releaseVersion returns the version by which the modules require each other: that of the next tags. There is one.
func releaseVersion(t *testing.T, modules []moduleOf) string {
	t.Helper()
	versions := make(map[string]bool)
	for _, m := range modules {
		var mod struct {
			Require []struct{ Path, Version string }
		}
		out := command(t, m.Dir, append(os.Environ(), "GOWORK=off"), "go", "mod", "edit", "-json")
		if err := json.Unmarshal([]byte(out), &mod); err != nil {
			t.Fatal(err)
		}
		for _, r := range mod.Require {
			if _, own := ownFolder(r.Path); own {
				versions[r.Version] = true
			}
		}
	}
	if len(versions) != 1 || versions["v0.0.0"] {
		t.Fatalf("the modules require each other as %q; it should be the one version of the next release",
			slices.Sorted(maps.Keys(versions)))
	}
	return slices.Collect(maps.Keys(versions))[0]
}

// pack adds a module to a proxy, in the form that go help goproxy and the documentation of golang.org/x/mod/zip
// describe. What git ignores is not in a release, nor is what lies in a module further down.
func pack(t *testing.T, proxy string, m moduleOf, version string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(m.Dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, time.Unix(0, 0).UTC().Format(time.RFC3339))
	for name, text := range map[string]string{
		"list": version + "\n", version + ".info": info, version + ".mod": string(mod),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeZip(filepath.Join(dir, version+".zip"), m.Path+"@"+version+"/", m.Dir, released(t, m.Dir)); err != nil {
		t.Fatal(err)
	}
}

// released returns a module's files, as slash-separated paths within its folder.
func released(t *testing.T, dir string) []string {
	t.Helper()
	out := command(t, dir, os.Environ(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	all := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	var inner []string // folders of modules further down
	for _, name := range all {
		if folder, ok := strings.CutSuffix(name, "/go.mod"); ok {
			inner = append(inner, folder)
		}
	}
	return slices.DeleteFunc(all, func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		return err != nil || slices.ContainsFunc(inner, func(folder string) bool { return within(name, folder) })
	})
}

func writeZip(target, prefix, dir string, names []string) error {
	file, err := os.Create(target)
	if err != nil {
		return err
	}
	defer file.Close()
	w := zip.NewWriter(file)
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		f, err := w.Create(prefix + name)
		if err != nil {
			return err
		}
		if _, err := f.Write(text); err != nil {
			return err
		}
	}
	return w.Close()
}

// stranger runs the go command outside the repository.
type stranger struct {
	env     []string
	version string
}

// strangersEnv has a module cache of its own, so that a release that is none stays out of the real one. Other
// modules come from the real cache's downloads, which go.sum has vouched for, and only then from the network.
// With -trimpath they need not be compiled anew for each new folder.
func strangersEnv(t *testing.T, release string) []string {
	t.Helper()
	known := strings.Split(command(t, root, os.Environ(), "go", "env", "GOMODCACHE", "GOPROXY"), "\n")
	proxies := []string{fileURL(release), fileURL(filepath.Join(known[0], "cache", "download")), known[1]}
	return append(os.Environ(),
		"GOPROXY="+strings.Join(proxies, ","), "GOMODCACHE="+t.TempDir(), "GOFLAGS=-mod=mod -modcacherw -trimpath",
		"GOWORK=off", "GOENV=off", "GOSUMDB=off", "GOPRIVATE=", "GONOPROXY=", "GOINSECURE=", "GOTOOLCHAIN=local")
}

func fileURL(folder string) string {
	return "file://" + strings.TrimSuffix("/"+strings.TrimPrefix(filepath.ToSlash(folder), "/"), "/")
}

func (s stranger) newModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s.run(t, dir, "mod", "init", "example.test/stranger")
	return dir
}

func (s stranger) run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return command(t, dir, s.env, "go", args...)
}

// command runs a command and returns what it printed; if it fails, so does the test.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, env
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, said.String())
	}
	return string(out)
}

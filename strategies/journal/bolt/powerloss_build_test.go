package bolt_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// powerloss returns the program in testdata/powerloss, built with a copy of bbolt and of this package in which all that
// is written goes through hooks. bbolt has no layer for files that a test could put another in the place of.
func powerloss(t *testing.T) string {
	t.Helper()
	built.Do(func() { built.program, built.err = buildPowerloss() })
	require.NoError(t, built.err)
	t.Cleanup(func() {})
	return built.program
}

var built struct {
	sync.Once
	folder, program string
	err             error
}

type swap struct{ old, new string }

func buildPowerloss() (program string, err error) {
	folder, err := os.MkdirTemp("", "powerloss")
	if err != nil {
		return "", err
	}
	built.folder = folder
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	copied, err := copyOfBbolt(folder)
	if err != nil {
		return "", err
	}
	own, err := swapped("files.go",
		swap{"import (\n", "import (\n\t\"go.etcd.io/bbolt\"\n"},
		swap{"f.WriteAt(b, off)", "bbolt.RecordedWriteAt(f)(b, off)"},
		swap{"f.Truncate(size)", "bbolt.RecordedTruncate(f, size)"},
		swap{"f.Sync()", "bbolt.RecordedSync(f)"},
		swap{"os.Rename(from, to)", "bbolt.RecordedRename(from, to)"},
		swap{"os.Remove(path)", "bbolt.RecordedRemove(path)"},
		swap{"folder.Sync()", "bbolt.RecordedFolderSync(folder)"})
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(here, "files.go"): filepath.Join(folder, "files.go.txt")}})
	if err != nil {
		return "", err
	}
	mod, err := swapped("go.mod", swap{"=> ../../..", "=> " + filepath.Join(here, "../../..")})
	if err != nil {
		return "", err
	}
	mod += "\nreplace go.etcd.io/bbolt => " + copied + "\n"
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{
		"files.go.txt": own, "overlay.json": string(overlay), "go.mod": mod, "go.sum": string(sum),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	program = filepath.Join(folder, "program")
	_, err = run("go", "build", "-modfile", filepath.Join(folder, "go.mod"),
		"-overlay", filepath.Join(folder, "overlay.json"), "-o", program, "./testdata/powerloss")
	return program, err
}

// copyOfBbolt copies bbolt from where the go command has it, and puts the hooks in.
func copyOfBbolt(folder string) (string, error) {
	dir, err := run("go", "list", "-m", "-f", "{{.Dir}}", "go.etcd.io/bbolt")
	if err != nil {
		return "", err
	}
	dir, copied := strings.TrimSpace(dir), filepath.Join(folder, "bbolt")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		return "", err
	}
	hooks, err := os.ReadFile("testdata/powerloss/recording.go.txt")
	if err != nil {
		return "", err
	}
	db, err := swapped(filepath.Join(dir, "db.go"),
		swap{"db.ops.writeAt = db.file.WriteAt", "db.ops.writeAt = RecordedWriteAt(db.file)"},
		swap{"db.file.Truncate(int64(sz))", "RecordedTruncate(db.file, int64(sz))"},
		swap{"db.file.Sync()", "RecordedSync(db.file)"})
	if err != nil {
		return "", err
	}
	changed := map[string]string{
		"recording.go":  string(hooks),
		"db.go":         db,
		"bolt_linux.go": "package bbolt\n\nfunc fdatasync(db *DB) error { return RecordedSync(db.file) }\n",
	}
	changed["boltsync_unix.go"], err = swapped(filepath.Join(dir, "boltsync_unix.go"), swap{"db.file.Sync()", "RecordedSync(db.file)"})
	if err != nil {
		return "", err
	}
	for name, text := range changed {
		path := filepath.Join(copied, name)
		if err := os.RemoveAll(path); err != nil { // what is in the module cache cannot be written, nor can its copy
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return copied, nil
}

// swapped returns the text of a file in which each of some words, which occur once, is another.
func swapped(path string, swaps ...swap) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := string(data)
	for _, s := range swaps {
		if strings.Count(text, s.old) != 1 {
			return "", &os.PathError{Op: "find once " + s.old + " in", Path: path, Err: os.ErrNotExist}
		}
		text = strings.Replace(text, s.old, s.new, 1)
	}
	return text, nil
}

// run runs a command by this module alone, without the workspace.
func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", &exec.Error{Name: name + " " + strings.Join(args, " ") + ": " + said.String(), Err: err}
	}
	return string(out), nil
}

// TestFailingDisk has each sync and each write of a workload fail once. After a sync that failed, or a write whose
// outcome is unknown, nothing more is written, and all that was acknowledged is there; a full disk is nothing but full.
func TestFailingDisk(t *testing.T) {
	said, err := run(powerloss(t), "fail", filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	t.Log(said)
}

package trace

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a recorded trace, or a part of one.
type File struct {
	Path   string
	Format Format
}

// ParseFile returns the file that an argument names: a path, or a format, a colon and a path. Without a format of its
// own the file has the given one; that may be empty, and is an error then.
func ParseFile(arg string, format Format) (File, error) {
	if name, path, ok := strings.Cut(arg, ":"); ok && slices.Contains(formats, Format(name)) {
		return File{path, Format(name)}, nil
	}
	if format == "" {
		return File{}, fmt.Errorf("trace: %s: its format is not said; there are %s", arg, strings.Join(Formats(), ", "))
	}
	return File{arg, format}, nil
}

// Files is one trace made of files, which follow upon each other in time. Keys stay as they are in the files: a key
// that is in two of them is one key.
//
// To read it fails, and says in which file and where, if a file is damaged, or holds no request at all. What nobody
// can see is that a text without compression was cut off between two lines, or within the digits of its last.
func Files(files ...File) Source { return concatenation(slices.Clone(files)) }

type concatenation []File

func (c concatenation) Name() string {
	names := make([]string, len(c))
	for i, f := range c {
		names[i] = filepath.Base(f.Path)
	}
	return strings.Join(names, " + ")
}

func (c concatenation) Open() (Reader, error) { return &filesReader{left: c}, nil }

type filesReader struct {
	left []File
	open *fileReader // nil: none is
}

func (r *filesReader) Read(keys []uint64) (int, error) {
	for {
		if r.open == nil {
			if len(r.left) == 0 {
				return 0, io.EOF
			}
			f, err := openFile(r.left[0])
			if err != nil {
				return 0, err
			}
			r.open, r.left = f, r.left[1:]
		}
		n, err := r.open.read(keys)
		if err != io.EOF {
			return n, err
		}
		if err := r.Close(); err != nil {
			return 0, err
		}
	}
}

func (r *filesReader) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.file.Close()
	r.open = nil
	return err
}

// fileReader reads one file.
type fileReader struct {
	path    string
	file    io.Closer
	decoder decoder
	any     bool  // request in it so far
	err     error // what comes after the keys that were read
}

func openFile(f File) (*fileReader, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	in, err := unpack(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("trace: %s: %w", f.Path, err)
	}
	return &fileReader{path: f.Path, file: file, decoder: f.Format.decoder(in)}, nil
}

func (r *fileReader) read(keys []uint64) (n int, err error) {
	if r.err == nil && len(keys) > 0 {
		n, err = r.decoder.decode(keys)
		r.any = r.any || n > 0
		r.err = r.explain(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// explain says where an error is. The end is none, if there was a request before it.
func (r *fileReader) explain(err error) error {
	switch {
	case err == nil, err == io.EOF && r.any:
		return err
	case err == io.EOF:
		return fmt.Errorf("trace: %s holds no request", r.path)
	}
	return fmt.Errorf("trace: %s: %s: %w", r.path, r.decoder.position(), err)
}

// unpack returns what is in a file that is compressed with gzip, and otherwise the file. It goes by the first four
// bytes: a key of eight or four bytes that looks like gzip's beginning is one in a hundred million.
func unpack(file io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(file, maxLine)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	const deflate, reserved = 8, 0xe0
	if len(head) < 3 || head[0] != 0x1f || head[1] != 0x8b || head[2] != deflate ||
		len(head) > 3 && head[3]&reserved != 0 {
		return in, nil
	}
	unzip, err := gzip.NewReader(in)
	if err != nil {
		return nil, unzipError(err)
	}
	return bufio.NewReaderSize(unzipped{unzip}, maxLine), nil
}

// unzipped tells the end of the packed data from that of what was in them.
type unzipped struct{ from *gzip.Reader }

func (u unzipped) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	return n, unzipError(err)
}

func unzipError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the compressed data end early: %w", err)
	}
	return fmt.Errorf("the compressed data are damaged: %w", err)
}

package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

const defaultProfile = "default"

// findProfile reads the files and returns the profile to look into. It notes in s which it is,
// and which files it skipped.
func (o Options) findProfile(s *Settings) (section, error) {
	config, err := load(o.file(o.ConfigFile, "AWS_CONFIG_FILE", "config"), s)
	if err != nil {
		return nil, err
	}
	credentials, err := load(o.file(o.CredentialsFile, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), s)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{o.Profile, o.Getenv("AWS_PROFILE"), o.Getenv("AWS_DEFAULT_PROFILE")} {
		if name != "" {
			s.Profile = name
			break
		}
	}
	named := s.Profile != ""
	if !named {
		s.Profile = defaultProfile
	}
	p, ok := merge(config, credentials, s.Profile)
	if named && !ok {
		return nil, &Error{text: "The config profile (" + s.Profile + ") could not be found"}
	}
	return p, nil
}

// merge returns the profile of that name, and whether there is one.
func merge(config, credentials document, name string) (section, bool) {
	p, ok := config.profile(name)
	over := credentials.sections[name]
	if over == nil || name == inherited {
		return p, ok
	}
	merged := section{}
	for _, part := range []section{p, over} {
		for key, v := range part {
			merged[key] = v
		}
	}
	return merged, true
}

// profile returns the profile of that name in a config file: the last of those that mean it.
func (d document) profile(name string) (p section, ok bool) {
	for _, header := range d.headers {
		if header == defaultProfile {
			if name == defaultProfile {
				p, ok = d.sections[header], true
			}
			continue
		}
		if !strings.HasPrefix(header, "profile") {
			continue
		}
		if w := words(header); len(w) == 2 && w[1] == name {
			p, ok = d.sections[header], true
		}
	}
	return p, ok
}

// load reads a file. One that cannot be read is empty, as for aws and its SDKs: a program that
// runs as another user must not fail for what it does not need.
func load(path string, s *Settings) (document, error) {
	text, err := readRegular(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Skipped = append(s.Skipped, err)
		}
		return document{}, nil
	}
	d, err := parse(string(text), path)
	if err != nil {
		return d, &Error{Origin: path, text: "Unable to parse config file: " + path, err: err}
	}
	return d, nil
}

// readRegular reads a file that has an end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	return os.ReadFile(path)
}

// file returns the path of a file: the one that was given, that in a variable, or the usual one.
func (o Options) file(given, variable, usual string) string {
	if given != "" {
		return given
	}
	if path := o.Getenv(variable); path != "" {
		return o.expand(path)
	}
	return filepath.Join(o.home(), ".aws", usual)
}

var reference = regexp.MustCompile(`\$(\w+|\{\w+\})`)

// expand replaces variables that are set, and then a leading "~".
func (o Options) expand(path string) string {
	path = reference.ReplaceAllStringFunc(path, func(ref string) string {
		if value := o.Getenv(strings.Trim(ref, "${}")); value != "" {
			return value
		}
		return ref
	})
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return o.home() + rest
	}
	return path
}

// home is the home directory.
func (o Options) home() string {
	variable := "HOME"
	if runtime.GOOS == "windows" {
		variable = "USERPROFILE"
	}
	if dir := o.Getenv(variable); dir != "" {
		return dir
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}

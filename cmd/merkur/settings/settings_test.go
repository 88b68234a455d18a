package settings_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"merkur/cmd/merkur/settings"
)

// configured is what "aws configure set" writes for a list of settings of three profiles.
const configured = `[default]
region = eu-west-1
s3 =
    max_concurrent_requests = 30
    multipart_threshold = 64MB
    multipart_chunksize = 16MB
    max_bandwidth = 50MB/s
output = json
[profile work]
region = x
s3 =
    addressing_style = path
[profile 'two words']
s3 =
    max_queue_size = 77
`

// A machine is a home directory and an environment.
type machine struct {
	home string
	env  map[string]string
}

// newMachine makes a machine with these files in ~/.aws; an empty one does not exist.
func newMachine(t *testing.T, config, credentials string) machine {
	t.Helper()
	m := machine{t.TempDir(), map[string]string{}}
	m.env["HOME"], m.env["USERPROFILE"] = m.home, m.home
	for name, text := range map[string]string{"config": config, "credentials": credentials} {
		if text != "" {
			m.write(t, filepath.Join(".aws", name), text)
		}
	}
	return m
}

func (m machine) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(m.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m machine) load(profile string, flags map[string]string) (settings.Settings, error) {
	return settings.Load(settings.Options{Profile: profile, Flags: flags, Getenv: func(name string) string { return m.env[name] }})
}

func TestConfigured(t *testing.T) {
	m := newMachine(t, configured, "")
	config := filepath.Join(m.home, ".aws", "config")
	for profile, want := range map[string]settings.Settings{
		"":          {Profile: "default", MaxConcurrentRequests: 30, MultipartThreshold: 64 << 20, MultipartChunksize: 16 << 20, MaxBandwidth: 50 << 20},
		"work":      {Profile: "work", AddressingStyle: "path"},
		"two words": {Profile: "two words", MaxQueueSize: 77},
	} {
		got, err := m.load(profile, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, origin := range got.Origin {
			if origin != config+", profile "+want.Profile {
				t.Errorf("%s comes from %s", name, origin)
			}
		}
		got.Origin = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", profile, got, want)
		}
	}
}

func TestEverySetting(t *testing.T) {
	yes, no := true, false
	values := map[string]string{
		"max_concurrent_requests": "1", "max_queue_size": "2", "multipart_threshold": "3KB", "multipart_chunksize": "4KB",
		"io_chunksize": "5KB", "max_bandwidth": "6KB/s", "target_bandwidth": "7Kb/s", "disk_throughput": "8",
		"preferred_transfer_client": "default", "addressing_style": "virtual", "use_accelerate_endpoint": "True",
		"use_dualstack_endpoint": "TRUE", "payload_signing_enabled": "yes", "should_stream": "true", "direct_io": "false",
	}
	want := settings.Settings{
		Profile: "default", MaxConcurrentRequests: 1, MaxQueueSize: 2, MultipartThreshold: 3 << 10, MultipartChunksize: 4 << 10,
		IOChunkSize: 5 << 10, MaxBandwidth: 6 << 10, TargetBandwidth: 7 << 10 / 8, DiskThroughput: 8,
		PreferredClient: "classic", AddressingStyle: "virtual", Accelerate: true,
		DualStack: &yes, PayloadSigning: &no, ShouldStream: &yes, DirectIO: &no,
	}
	if names := settings.Names(); !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(maps.Keys(values))) {
		t.Fatalf("the settings are %v", names)
	}
	file, environment := newMachine(t, "[default]\ns3 =\n"+nested(values), ""), newMachine(t, "", "")
	for name, text := range values {
		environment.env["AWS_"+strings.ToUpper(name)] = text
	}
	flags := newMachine(t, "", "")
	for source, load := range map[string]func() (settings.Settings, error){
		filepath.Join(file.home, ".aws", "config") + ", profile default": func() (settings.Settings, error) { return file.load("", nil) },
		"AWS_":             func() (settings.Settings, error) { return environment.load("", nil) },
		"the command line": func() (settings.Settings, error) { return flags.load("", values) },
	} {
		got, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range settings.Names() {
			origin := source
			if source == "AWS_" {
				origin += strings.ToUpper(name)
			}
			if got.Origin[name] != origin {
				t.Errorf("%s comes from %q, want %q", name, got.Origin[name], origin)
			}
		}
		got.Origin = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", source, got)
		}
	}
}

func nested(values map[string]string) string {
	var b strings.Builder
	for name, text := range values {
		b.WriteString("  " + name + " = " + text + "\n")
	}
	return b.String()
}

func TestPrecedence(t *testing.T) {
	m := newMachine(t, "[default]\ns3 =\n  max_queue_size = broken\n", "")
	fail := func(want string) {
		t.Helper()
		if _, err := m.load("", nil); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	fail("Value for max_queue_size must be a positive integer: broken")
	m.env["AWS_MAX_QUEUE_SIZE"] = "0"
	fail("Value for max_queue_size must be a positive integer: 0")
	s, err := m.load("", map[string]string{"max_queue_size": "5"})
	if err != nil || s.MaxQueueSize != 5 {
		t.Errorf("%d, %v", s.MaxQueueSize, err)
	}
}

func TestDualStack(t *testing.T) {
	for _, c := range []struct {
		config, env string
		want        bool
	}{
		{"use_dualstack_endpoint = true", "", true},
		{"use_dualstack_endpoint = true\ns3 =\n  use_dualstack_endpoint = false", "", false},
		{"s3 =\n  use_dualstack_endpoint = false", "true", true},
		{"s3 =\n  use_dualstack_endpoint = true\n  use_accelerate_endpoint = true", "", true},
		{"max_queue_size = broken", "", false}, // not nested, so not ours
	} {
		m := newMachine(t, "[default]\n"+c.config, "")
		m.env["AWS_USE_DUALSTACK_ENDPOINT"] = c.env
		if s, err := m.load("", nil); err != nil || (s.DualStack != nil && *s.DualStack) != c.want {
			t.Errorf("%q and %q: %v, %v", c.config, c.env, s.DualStack, err)
		}
	}
}

func TestProfile(t *testing.T) {
	config := "[profile one]\ns3 =\n  max_queue_size = 1\n[profile \"two\"]\ns3 =\n  max_queue_size = 2\n  max_concurrent_requests = 2\n" +
		"[three]\nx = 1\n[default]\ns3 =\n  max_queue_size = 4\n[profile default]\ns3 =\n  max_queue_size = 5\n[profile bare]\ns3 =\n[profiles six]\ns3=\n max_queue_size=6"
	credentials := "[two]\ns3 =\n  max_queue_size = 20\n[seven]\ns3 =\n  max_queue_size = 7\n[profile eight]\nx = 1\n[bare]\naws_access_key_id = a"
	for _, c := range []struct {
		asked, first, second string // the option, AWS_PROFILE, AWS_DEFAULT_PROFILE
		size, requests       int    // -1: not found
	}{
		{"", "", "", 5, 0},
		{"one", "two", "bare", 1, 0},
		{"", "two", "one", 20, 0},
		{"", "", "one", 1, 0},
		{"three", "", "", -1, 0},
		{"six", "", "", 6, 0},
		{"seven", "", "", 7, 0},
		{"eight", "", "", -1, 0},
		{"DEFAULT", "", "", -1, 0},
		{"bare", "", "", 0, 0},
	} {
		m := newMachine(t, config, credentials)
		m.env["AWS_PROFILE"], m.env["AWS_DEFAULT_PROFILE"] = c.first, c.second
		s, err := m.load(c.asked, nil)
		if c.size < 0 {
			if want := "The config profile (" + c.asked + ") could not be found"; err == nil || err.Error() != want {
				t.Errorf("%+v: %v", c, err)
			}
		} else if err != nil || s.MaxQueueSize != c.size || s.MaxConcurrentRequests != c.requests {
			t.Errorf("%+v: %d, %d, %v", c, s.MaxQueueSize, s.MaxConcurrentRequests, err)
		}
	}
}

func TestFiles(t *testing.T) {
	m := newMachine(t, "[default]\ns3 =\n  max_queue_size = 1", "")
	other := m.write(t, "other", "[default]\ns3 =\n  max_queue_size = 2")
	m.env["PLACE"] = m.home
	for path, want := range map[string]int{
		"": 1, other: 2, "~/other": 2, "$PLACE/other": 2, "${PLACE}/other": 2,
		"$NONE/other": 0, "~other": 0, filepath.Join(m.home, "none"): 0,
	} {
		m.env["AWS_CONFIG_FILE"] = path
		if s, err := m.load("", nil); err != nil || s.MaxQueueSize != want || len(s.Skipped) > 0 {
			t.Errorf("%s: %d, %v, %v", path, s.MaxQueueSize, s.Skipped, err)
		}
	}
	m.env["AWS_CONFIG_FILE"] = m.home // not a file: passed over, but not in silence
	if s, err := m.load("", nil); err != nil || s.MaxQueueSize != 0 || len(s.Skipped) != 1 {
		t.Errorf("a directory: %d, %v, %v", s.MaxQueueSize, s.Skipped, err)
	}
	s, err := settings.Load(settings.Options{ConfigFile: other, CredentialsFile: filepath.Join(m.home, "none"), Getenv: func(string) string { return "" }})
	if err != nil || s.MaxQueueSize != 2 {
		t.Errorf("a given file: %d, %v", s.MaxQueueSize, err)
	}
}

func TestErrors(t *testing.T) {
	for line, want := range map[string]string{
		"max_concurrent_requests =":         "Value for max_concurrent_requests must be a positive integer: ",
		"max_concurrent_requests = 2.5":     "Value for max_concurrent_requests must be a positive integer: 2.5",
		"max_concurrent_requests = 20 # c":  "Value for max_concurrent_requests must be a positive integer: 20 # c",
		"multipart_threshold = 0MB":         "Value for multipart_threshold must be a positive integer: 0",
		"multipart_chunksize = -1MB":        "Value for multipart_chunksize must be a positive integer: -1048576",
		"io_chunksize = 8XB":                "Invalid size value: 8xb",
		"max_bandwidth = 7b/s":              "Value for max_bandwidth must be a positive integer: 0",
		"disk_throughput = x":               "Invalid rate: x. The value must be",
		"addressing_style = Path":           "S3 addressing style Path is invalid. Valid options are: 'auto', 'virtual', and 'path'",
		"preferred_transfer_client = CRT":   `Invalid value: "CRT" for configuration option: "preferred_transfer_client". Supported values are: auto, classic, crt`,
		"Max_Queue_Size = x\n  unknown = x": "",
	} {
		m := newMachine(t, "[default]\ns3 =\n  "+line, "")
		_, err := m.load("", nil)
		if want == "" && err == nil {
			continue
		}
		var e *settings.Error
		if !errors.As(err, &e) || want == "" || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
			continue
		}
		if name := strings.Fields(line)[0]; e.Setting != name || !strings.HasSuffix(e.Origin, "config, profile default") {
			t.Errorf("%s: the error is about %q of %q", line, e.Setting, e.Origin)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	for text, want := range map[string]string{
		"[default]\ns3 = 20": "Invalid value of s3: settings must be nested below it",
		"junk":               "Unable to parse config file: FILE: line 1: no section begins before it",
	} {
		m := newMachine(t, text, "")
		want = strings.ReplaceAll(want, "FILE", filepath.Join(m.home, ".aws", "config"))
		var e *settings.Error
		if _, err := m.load("", nil); !errors.As(err, &e) || e.Error() != want || e.Setting != "" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	m := newMachine(t, "", "junk")
	if _, err := m.load("", nil); err == nil {
		t.Error("a broken credentials file is no error")
	}
}

func TestUnknownFlag(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a flag that is no setting was taken")
		}
	}()
	_, _ = newMachine(t, "", "").load("", map[string]string{"max_bandwith": "1"})
}

package main

import (
	"slices"
	"strings"
	"testing"
)

// TestPermute brings command lines in the forms that aws takes into the one form of the library.
// Words are separated by spaces; "_" in what is expected is the empty word.
func TestPermute(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"merkur", "merkur"},
		{"merkur sync d s3://b", "merkur sync -- d s3://b"},
		{"merkur s3 sync d s3://b", "merkur sync -- d s3://b"},
		{"merkur sync s3 s3://b", "merkur sync -- s3 s3://b"},
		{"merkur sync sync s3://b", "merkur sync -- sync s3://b"},
		{"merkur sync help s3://b", "merkur sync -- help s3://b"},
		{"merkur s3", "merkur s3 --"},
		{"merkur help", "merkur help --"},

		// Options before the command, after it, between and behind the paths.
		{"merkur --region x sync d s3://b", "merkur sync --region=x -- d s3://b"},
		{"merkur --region=x --debug s3 sync d s3://b", "merkur sync --region=x --debug -- d s3://b"},
		{"merkur s3 --profile p sync d s3://b", "merkur sync --profile=p -- d s3://b"},
		{"merkur sync --delete d --dryrun s3://b --quiet", "merkur sync --delete --dryrun --quiet -- d s3://b"},
		{"merkur sync d s3://b --exclude * --include a --exclude b", "merkur sync --exclude=* --include=a --exclude=b -- d s3://b"},
		{"merkur sync --follow-symlinks d s3://b --no-follow-symlinks", "merkur sync --follow-symlinks --no-follow-symlinks -- d s3://b"},

		// Values behind "=" and behind a space; "=" in a value.
		{"merkur sync --acl=private d s3://b", "merkur sync --acl=private -- d s3://b"},
		{"merkur sync --metadata=a=b,c=d d s3://b", "merkur sync --metadata=a=b,c=d -- d s3://b"},
		{"merkur sync --metadata a=b d s3://b", "merkur sync --metadata=a=b -- d s3://b"},
		{"merkur sync --content-type= d s3://b", "merkur sync --content-type= -- d s3://b"},
		{"merkur sync --exclude=-x d s3://b", "merkur sync --exclude=-x -- d s3://b"},
		{"merkur sync --exclude -5 -.5 s3://b", "merkur sync --exclude=-5 -- -.5 s3://b"},
		{"merkur sync --exclude - d s3://b", "merkur sync --exclude=- -- d s3://b"},

		// Beginnings of names that only one option of aws has, or else only one of ours.
		{"merkur sync --dry --excl x d s3://b", "merkur sync --dryrun --exclude=x -- d s3://b"},
		{"merkur sync --siz d s3://b", "merkur sync --size-only -- d s3://b"},
		{"merkur sync --reg=x d s3://b", "merkur sync --region=x -- d s3://b"},
		{"merkur sync --no-v --no-s --no-g d s3://b", "merkur sync --no-verify-ssl --no-sign-request --no-guess-mime-type -- d s3://b"},
		{"merkur sync --sse aws:kms --sse-k id d s3://b", "merkur sync --sse=aws:kms --sse-kms-key-id=id -- d s3://b"},
		{"merkur sync --inc x d s3://b", "merkur sync --include=x -- d s3://b"},
		{"merkur sync --max-d 1 d s3://b", "merkur sync --max-delete=1 -- d s3://b"},
		{"merkur sync --source-r x d s3://b", "merkur sync --source-region=x -- d s3://b"},
		{"merkur sync --source-e x d s3://b", "merkur sync --source-endpoint-url=x -- d s3://b"},

		// Options whose value may be left out do not swallow a path.
		{"merkur sync --sse d s3://b", "merkur sync --sse=AES256 -- d s3://b"},
		{"merkur sync d s3://b --sse", "merkur sync --sse=AES256 -- d s3://b"},
		{"merkur sync --sse AES256 d s3://b", "merkur sync --sse=AES256 -- d s3://b"},
		{"merkur sync --sse=aws:kms d s3://b", "merkur sync --sse=aws:kms -- d s3://b"},
		{"merkur sync --sse-c --sse-c-key k d s3://b", "merkur sync --sse-c=AES256 --sse-c-key=k -- d s3://b"},
		{"merkur sync --sse-c-copy-source d s3://b", "merkur sync --sse-c-copy-source=AES256 -- d s3://b"},
		{"merkur sync --request-payer d s3://b", "merkur sync --request-payer=requester -- d s3://b"},
		{"merkur sync --request-payer requester d s3://b", "merkur sync --request-payer=requester -- d s3://b"},
		{"merkur sync --use-accelerate-endpoint d s3://b", "merkur sync --use-accelerate-endpoint=true -- d s3://b"},
		{"merkur sync --payload-signing-enabled false d s3://b", "merkur sync --payload-signing-enabled=false -- d s3://b"},

		// Options that take several values, and paths behind them.
		{"merkur sync --grants read=id=1 full=id=2,id=3 d s3://b", "merkur sync --grants=read=id=1 --grants=full=id=2,id=3 -- d s3://b"},
		{"merkur sync d s3://b --grants readacl=uri=x --delete", "merkur sync --grants=readacl=uri=x --delete -- d s3://b"},
		{"merkur sync --grants=read=id=1 writeacl=id=2 d s3://b", "merkur sync --grants=read=id=1 --grants=writeacl=id=2 -- d s3://b"},
		{"merkur sync --grants read=id=1 a=b s3://b", "merkur sync --grants=read=id=1 -- a=b s3://b"},
		{"merkur sync --grants read=id=1 --dryrun --grants full=id=2 read=id=3 d s3://b", "merkur sync --dryrun --grants=full=id=2 --grants=read=id=3 -- d s3://b"},

		// What "--" ends, and what goes before all else.
		{"merkur sync --delete -- --d s3://b", "merkur sync --delete -- --d s3://b"},
		{"merkur sync d s3://b --help --nonsense", "merkur sync --help"},
		{"merkur -h", "merkur --help"},
		{"merkur sync d --version", "merkur --version"},
		{"merkur sync  s3://b", "merkur sync -- _ s3://b"},
	} {
		got, err := permute(syncCommand(), strings.Split(c.typed, " "))
		want := strings.Split(c.want, " ")
		for i := range want {
			want[i] = strings.TrimPrefix(want[i], "_")
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", c.typed, got, err, want)
		}
	}
}

// TestPermuteSpaces has words with spaces in them: only behind "=" are they those of an option.
func TestPermuteSpaces(t *testing.T) {
	got, err := permute(syncCommand(), []string{"merkur", "sync", "-my dir", "s3://b", "--exclude", "-a b", "--include=-c d"})
	want := []string{"merkur", "sync", "--exclude=-a b", "--include=-c d", "--", "-my dir", "s3://b"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestPermuteLooking reads the options of the commands that change nothing, each by its own table.
func TestPermuteLooking(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"merkur verify --data s3://b", "merkur verify --data=all -- s3://b"},
		{"merkur verify --data 5% s3://b", "merkur verify --data=5% -- s3://b"},
		{"merkur verify s3://b --data all --seed 7", "merkur verify --data=all --seed=7 -- s3://b"},
		{"merkur verify --data 5x s3://b", "merkur verify --data=all -- 5x s3://b"},
		{"merkur s3 ls s3://b --rec --hum --summ", "merkur ls --recursive --human-readable --summarize -- s3://b"},
		{"merkur ls -r -l s3://b", "merkur ls --recursive --long -- s3://b"},
		{"merkur diff a b --sta --li", "merkur diff --stat --list -- a b"},
		{"merkur root s3://b --sub d --save f -l", "merkur root --sub=d --save=f --long -- s3://b"},
		{"merkur --debug explain p s3://b --exclude=x --ro d", "merkur explain --debug --exclude=x --root=d -- p s3://b"},
		{"merkur ls --delete s3://b", "unknown option --delete"},
		{"merkur ls -x s3://b", "unknown option -x"},
		{"merkur verify --dat", "merkur verify --data=all"}, // what is missing is found when the paths are counted
		{"merkur sync --recursive", "unknown option --recursive: sync is always recursive"},
		{"merkur root --su", "option --sub needs a value"},
	} {
		args := strings.Split(c.typed, " ")
		got, err := permute(named(commands(), args), args)
		if err != nil {
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: %v; want %q", c.typed, err, c.want)
			}
		} else if text := strings.TrimSuffix(strings.Join(got, " "), " --"); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.typed, text, c.want)
		}
	}
}

// TestTables finds options that two rows of a command share, and beginnings that mean nothing.
func TestTables(t *testing.T) {
	for _, c := range commands() {
		seen := map[string]bool{}
		for _, g := range c.options {
			for _, o := range g.options {
				for _, name := range []string{"--" + o.name, "-" + o.short} {
					if name != "-" && seen[name] {
						t.Errorf("%s has %s twice", c.name, name)
					}
					seen[name] = true
				}
				if o.kind == optional && o.none == "" || o.kind == optional && o.choices == nil && o.takes == nil {
					t.Errorf("%s: option --%s may be left without a value, and has none", c.name, o.name)
				}
			}
		}
		if c.usage == "" || c.about == "" || c.paths == "" || len(c.codes) == 0 || c.run == nil {
			t.Errorf("%s has no help", c.name)
		}
	}
}

func TestPermuteErrors(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"--nonsense", "unknown option --nonsense"},
		{"--nonsense=x", "unknown option --nonsense"},
		{"-x", "unknown option -x"},
		{"-delete", "unknown option -delete"},
		{"--exlcude x", "unknown option --exlcude: did you mean --exclude?"},
		{"--dryrun --delet --deltee", "unknown option --deltee: did you mean --delete?"},
		{"--storage-clas=x --storageclass x", "unknown option --storageclass: did you mean --storage-class?"},
		{"--dry-run", "unknown option --dry-run: --dryrun is meant"},
		{"--recursive", "unknown option --recursive: sync is always recursive"},
		{"--s", "option --s is ambiguous: it could be --size-only, --strict, --sample-share, --storage-class, --sse"},
		{"--in x --no", "option --no is ambiguous: it could be --no-follow-symlinks, --no-overwrite"},
		{"--exclude", "option --exclude needs a value"},
		{"--exclude --delete", "option --exclude needs a value"},
		{"--grants", "option --grants needs a value"},
		{"--grants --delete", "option --grants needs a value"},
		{"--delete=true", "option --delete takes no value"},
	} {
		got, err := permute(syncCommand(), append([]string{"merkur", "sync", "d", "s3://b"}, strings.Split(c.typed, " ")...))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %q, %v; want an error %q", c.typed, got, err, c.want)
		}
	}
}

// TestNamed finds the command among what stands before it.
func TestNamed(t *testing.T) {
	all := []*command{
		{name: "sync", options: syncOptions},
		{name: "look", options: table{{"", []option{{name: "sub", kind: valued}, {name: "deep"}}}}},
	}
	for typed, want := range map[string]string{
		"": "", "sync d s3://b": "sync", "s3 sync": "sync", "--debug s3 --region x sync": "sync", "look sync": "look",
		"--sub sync look": "look", "--deep look": "look", "--sub=x look": "look", "--exclude look sync d": "sync",
		"--nonsense look": "look", "-h": "", "look -h": "look", "-- sync": "sync", "d sync": "", "s3": "",
		"--siz sync": "sync", "--region sync": "",
	} {
		got := ""
		if c := named(all, append([]string{"merkur"}, strings.Fields(typed)...)); c != nil {
			got = c.name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

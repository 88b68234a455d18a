package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/lab"
)

func TestWishes(t *testing.T) {
	for typed, want := range map[string]string{
		"": "", "touch": "touch", "edit clone": "edit=1% clone", "edit=2%,edit=2% edit": "edit=2% edit=1%",
		"all":            "touch clone edit=1% append=1% same-size-edit=1% quiet-edit=1% rename=1%",
		"edit=5% all":    "edit=5% touch clone edit=1% append=1% same-size-edit=1% quiet-edit=1% rename=1%",
		"all,rename=50%": "rename=50% touch clone edit=1% append=1% same-size-edit=1% quiet-edit=1% rename=1%",
	} {
		g := &given{values: map[string]string{}}
		for _, value := range strings.Fields(typed) {
			if err := (&setting{option: option{name: "simulate", kind: valued}, given: g}).Set(value); err != nil {
				t.Fatal(err)
			}
		}
		list, err := wishes(g.wishes)
		var got []string
		for _, w := range list {
			got = append(got, w.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %s, %v; want %s", typed, got, err, want)
		}
	}
	if _, err := wishes([]string{"touch", ""}); err == nil {
		t.Error("an empty wish is taken")
	}
}

// The process of a measurement is given what sync would be, but for what would have it write elsewhere.
func TestPlanArgs(t *testing.T) {
	line := "merkur bench -tree s3://b/p --exclude=-x --include y --no-follow-symlinks --region r --trust-stat --sse-c --sse-c-key=k " +
		"--manifest-key f --output json --quiet --color on --rounds 5 --html h --simulate all --scratch s"
	c := benchCommand()
	args, err := permute(c, strings.Fields(strings.Replace(line, "-tree", "./tree", 1)))
	if err != nil {
		t.Fatal(err)
	}
	g := &given{values: map[string]string{}}
	for _, arg := range args[2:] {
		if arg == "--" {
			break
		}
		name, value, has := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		o, _ := c.options.find(name)
		if !has {
			value = "true"
		}
		if err := (&setting{option: o, given: g}).Set(value); err != nil {
			t.Fatal(err)
		}
	}
	ends := []end{{typed: "./tree", dir: "/tree"}, {typed: "s3://b/p", location: location{"b", "p/"}}}
	list := string(os.PathListSeparator)
	for _, x := range []struct {
		spec lab.Spec
		want string
	}{
		{lab.Spec{Strategy: "content", Cache: "/c"},
			"bench-plan --compare=content --cache-dir=/c --clock-ahead=0s --trust-stat --manifest-key=f --sse-c=AES256 --sse-c-key=k --region=r --exclude=-x --include=y --no-follow-symlinks -- ./tree s3://b/p"},
		{lab.Spec{Strategy: "size", Cache: "/c", Dir: "/copy", Draft: "/d", Leave: []string{"/l", "/m"}, Ahead: time.Hour},
			"bench-plan --compare=size --cache-dir=/c --clock-ahead=1h0m0s --draft=/d --leave=/l" + list + "/m --trust-stat --sse-c=AES256 --sse-c-key=k --region=r --exclude=-x --include=y --no-follow-symlinks --stands-for=/tree -- /copy s3://b/p"},
	} {
		got := g.planArgs(ends, x.spec)
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s:\n got %s\nwant %s", x.spec.Strategy, strings.Join(got, " "), x.want)
		}
		if _, err := permute(benchPlanCommand(), append([]string{"merkur"}, got...)); err != nil {
			t.Errorf("%s is refused: %v", got, err)
		}
	}
}

func TestPlanEnv(t *testing.T) {
	before := []string{"A=1", "MERKUR_CACHE_DIR=c", "MERKUR_MANIFEST_KEY=k", "MERKUR_SUMMARY=1", "TMPDIR=/t", "TMP=x", "MERKUR_SAMPLE_SHARE=0"}
	got := planEnv(before, lab.Spec{Temp: "/scratch/temp"})
	if want := []string{"A=1", "MERKUR_SAMPLE_SHARE=0", "TMPDIR=/scratch/temp", "TMP=/scratch/temp", "TEMP=/scratch/temp"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if before[1] != "MERKUR_CACHE_DIR=c" {
		t.Error("the environment itself has changed")
	}
}

package collectors

// What the network's caches count on each CPU, from the files of /proc/net/stat
// (kernel: net/core/neighbour.c, net/ipv4/route.c, net/netfilter); see hexTable.
// The names of the columns are the kernel's and differ by file and version.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var lnstatFamilies = []*expo.Family{
	// arp_cache, ndisc_cache
	expo.Counter("node_lnstat_entries_total", "Entries that the cache has now.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_allocs_total", "Entries made.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_destroys_total", "Entries removed.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_hash_grows_total", "Times the hash table was enlarged.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_lookups_total", "Searches.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_hits_total", "Searches that found an entry.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_res_failed_total", "Neighbours that could not be resolved.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_rcv_probes_mcast_total", "Multicast probes of others.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_rcv_probes_ucast_total", "Unicast probes of others.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_periodic_gc_runs_total", "Collections of garbage by the clock.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_forced_gc_runs_total", "Collections of garbage for want of room.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_unresolved_discards_total", "Packets dropped because their neighbour was not resolved.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_table_fulls_total", "Entries refused because the table was full.", "subsystem", "cpu"),
	// nf_conntrack
	expo.Counter("node_lnstat_searched_total", "Entries looked at in searches.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_clashres_total", "Clashes of entries that could be resolved.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_found_total", "Searches that found a connection.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_new_total", "Connections that were not expected.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_invalid_total", "Packets that cannot be tracked.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_ignore_total", "Packets that belong to a connection already.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_delete_total", "Connections removed.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_delete_list_total", "Connections put on the list of the dying.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_chainlength_total", "Connections refused because their chain was too long.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_insert_total", "Connections inserted.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_insert_failed_total", "Connections that could not be inserted, mostly because they were there.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_drop_total", "Packets dropped because their connection could not be tracked.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_early_drop_total", "Connections dropped to make room.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_icmp_error_total", "ICMP errors that could not be tracked.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_expect_new_total", "Connections that were expected.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_expect_create_total", "Expectations made.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_expect_delete_total", "Expectations removed.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_search_restart_total", "Searches begun anew because the table was resized.", "subsystem", "cpu"),
	// synproxy
	expo.Counter("node_lnstat_syn_received_total", "SYNs received.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_cookie_invalid_total", "SYN cookies that were wrong.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_cookie_valid_total", "SYN cookies that were right.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_cookie_retrans_total", "SYN cookies sent again.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_conn_reopened_total", "Connections opened again.", "subsystem", "cpu"),
	// rt_cache: routes are not cached any more, but some are counted
	expo.Counter("node_lnstat_in_slow_tot_total", "Routes looked up for packets received.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_in_no_route_total", "Packets received for which there was no route.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_in_martian_dst_total", "Packets received with an impossible destination.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_in_martian_src_total", "Packets received with an impossible source.", "subsystem", "cpu"),
	expo.Counter("node_lnstat_out_slow_tot_total", "Routes looked up for packets to send.", "subsystem", "cpu"),
}

type lnstat struct {
	fs       hostfs.FS
	files    []*lnstatFile // by name
	names    kernelNames
	families []lnstatFamily
	cpus     cpuNames
}

type lnstatFile struct {
	name  string
	file  *hostfs.File
	table hexTable
}

// lnstatFamily is a family and where its numbers are.
type lnstatFamily struct {
	family *expo.Family
	at     []lnstatColumn
}

type lnstatColumn struct {
	file   *lnstatFile
	column int
}

func newLnstat(c Config) (Collector, error) {
	return &lnstat{fs: c.FS, names: kernelNames{family: func(column string) *expo.Family {
		name := expo.CleanName("node_lnstat_" + column + "_total")
		if f := pickFamily(lnstatFamilies, name); f != nil {
			return f
		}
		return expo.Counter(name, "Column "+column+" of a file in /proc/net/stat.", "subsystem", "cpu")
	}}}, nil
}

// Collect implements Collector. A file that cannot be read does not cost the others.
func (l *lnstat) Collect(_ context.Context, w *expo.Writer) error {
	changed, err := l.list()
	if err != nil {
		return absent(err)
	}
	var failed []error
	for _, f := range l.files {
		b, err := f.file.Read()
		if err == nil {
			var c bool
			c, err = f.table.parse(b)
			changed = changed || c
		}
		if err != nil {
			f.table.values = nil
			if !hostfs.Gone(err) {
				failed = append(failed, fmt.Errorf("%s: %w", f.file.Path(), err))
			}
		}
	}
	if changed {
		l.arrange()
	}
	for _, f := range l.families {
		for _, c := range f.at {
			for row := range c.file.table.rows() {
				w.Uint(f.family, c.file.table.at(row, c.column), c.file.name, l.cpus.name(uint64(row)))
			}
		}
	}
	if len(l.files) == 0 {
		return fmt.Errorf("%w: %s is empty", ErrNoData, l.fs.ProcPath("net/stat"))
	}
	return errors.Join(failed...)
}

// list finds the files. It tells whether they are others than before.
func (l *lnstat) list() (changed bool, err error) {
	names, err := hostfs.ReadDirNames(l.fs.ProcPath("net/stat"))
	if err != nil {
		return false, err
	}
	if slices.EqualFunc(l.files, names, func(f *lnstatFile, name string) bool { return f.name == name }) {
		return false, nil
	}
	for _, f := range l.files {
		f.file.Close()
	}
	l.files = nil
	for _, name := range names {
		l.files = append(l.files, &lnstatFile{name: name, file: l.fs.ProcFile("net/stat/" + name)})
	}
	return true, nil
}

// arrange puts the columns of all files in the order of the families.
func (l *lnstat) arrange() {
	l.families = l.families[:0]
	for _, f := range l.files {
		for column, name := range f.table.names {
			if slices.Index(f.table.names, name) < column {
				continue // said twice in one header
			}
			family := l.names.get([]byte(name))
			i := slices.IndexFunc(l.families, func(x lnstatFamily) bool { return x.family.Name() == family.Name() })
			if i < 0 {
				i = len(l.families)
				l.families = append(l.families, lnstatFamily{family: family})
			}
			if at := l.families[i].at; len(at) > 0 && at[len(at)-1].file == f {
				continue // two names that became one
			}
			l.families[i].at = append(l.families[i].at, lnstatColumn{f, column})
		}
	}
}

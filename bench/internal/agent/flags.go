package agent

import "strings"

// Sixteen are the collectors of a plain host, those that every installation wants.
const Sixteen = "cpu,diskstats,filefd,filesystem,loadavg,meminfo,netclass,netdev,netstat,pressure,sockstat,stat,textfile,time,uname,vmstat"

// Default, as a list of collectors, is what each program runs by itself.
const Default = "default"

// Flags are a program's flags: those that choose the collectors of a list of
// names, and further ones, separated by blanks.
func Flags(collectors, further string) []string {
	args := strings.Fields(further)
	if collectors == Default {
		return args
	}
	args = append(args, "--collector.disable-defaults")
	for name := range strings.SplitSeq(collectors, ",") {
		args = append(args, "--collector."+name)
	}
	return args
}

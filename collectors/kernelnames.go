package collectors

import "watchpost/internal/expo"

// kernelNames are families whose names are built of names that the kernel made
// up: the fields of meminfo, of vmstat, of each network protocol. A family is made
// when its key is seen first, and forgotten with all others when there are too
// many, so what comes from outside cannot fill the memory.
type kernelNames struct {
	family func(key string) *expo.Family // nil: that key is left out
	made   map[string]*expo.Family
}

// maxKernelNames is far above the number of fields in any of these files.
const maxKernelNames = 4096

// get is the family of a key, or nil.
func (k *kernelNames) get(key []byte) *expo.Family {
	if f, ok := k.made[string(key)]; ok { // no allocation: the compiler knows this form
		return f
	}
	if k.made == nil || len(k.made) >= maxKernelNames {
		k.made = make(map[string]*expo.Family)
	}
	f := k.family(string(key))
	k.made[string(key)] = f
	return f
}

// pickFamily is the family of that name, or nil.
func pickFamily(from []*expo.Family, name string) *expo.Family {
	for _, f := range from {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

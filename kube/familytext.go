package kube

import "watchpost/internal/expo"

// Text calls part with the sample lines of a family, some hundred objects at a time,
// and tells whether there is such a family here. The text is valid until part returns.
func (s *Snapshot) Text(family string, part func(lines []byte) error) (found bool, err error) {
	var inflater expo.Inflater
	var text []byte
	for i := range s.parts {
		p := &s.parts[i]
		if p.header.name != family {
			continue
		}
		found = true
		for _, samples := range p.samples {
			for _, g := range samples {
				if text, err = inflater.Append(text[:0], *g); err != nil {
					return true, err
				}
				if err := part(text); err != nil {
					return true, err
				}
			}
		}
	}
	return found, nil
}

// Shows tells whether a family is among those of the cluster, with objects or not.
func (c *Cluster) Shows(family string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stores {
		for _, h := range s.headers {
			if h.name == family {
				return true
			}
		}
	}
	return false
}

// Names are the resources of the cluster.
func (c *Cluster) Names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stores {
		names = append(names, s.resource.name)
	}
	return names
}

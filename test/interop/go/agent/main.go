// The unmodified motan-go agent: it stands in front of, behind, or in place of Peony.
package main

import motan "github.com/weibocom/motan-go"

func main() {
	motan.NewAgent(nil).StartMotanAgent()
}

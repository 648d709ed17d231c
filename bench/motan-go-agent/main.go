// The motan-go mesh agent as a program of its own: the peer that `npm run bench` measures beside Peony.
// All flags are motan-go's; -c names the configuration.
package main

import (
	motan "github.com/weibocom/motan-go"
)

func main() {
	motan.NewAgent(nil).StartMotanAgent()
}

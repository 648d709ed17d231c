package peony.interop;

import com.weibo.api.motan.config.RegistryConfig;

/**
 * Where these programs find each other, unless they are told to use a registry with a server:
 *
 * <pre>
 * -Dinterop.registry=PROTOCOL,HOST:PORT -Dinterop.host=ADDRESS     Motan does not list loopback addresses
 * -Dinterop.registry=weibomesh,HOST:PORT -Dinterop.mesh=MPORT,PROTOCOL,HOST:PORT     ports of an agent, and the registry behind it
 * </pre>
 */
final class Places {
    private Places() {}

    static void of(RegistryConfig registry, String protocol, String address) {
        String[] chosen = System.getProperty("interop.registry", protocol + "," + address).split(",", 2);
        registry.setRegProtocol(chosen[0]);
        registry.setAddress(chosen[1]);
        String[] mesh = System.getProperty("interop.mesh", "").split(",", 3);
        if (mesh.length < 3) { return; }
        registry.setAddress(chosen[1] + "?mport=" + mesh[0]);
        registry.setDynamic(true);
        RegistryConfig behind = new RegistryConfig();
        behind.setRegProtocol(mesh[1]);
        behind.setAddress(mesh[2]);
        registry.setProxyRegistry(behind);
    }

    static String host() {
        return System.getProperty("interop.host", "127.0.0.1");
    }
}

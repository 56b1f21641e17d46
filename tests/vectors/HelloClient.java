import java.security.Security;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/** Sends one hello to 127.0.0.1. Arguments: the port, then the enabled protocols (none: Java's default). */
public final class HelloClient {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 1) {
            Security.setProperty("jdk.tls.disabledAlgorithms", "");
        }
        TrustManager trusting = new X509TrustManager() {
            public void checkClientTrusted(X509Certificate[] chain, String kind) {}
            public void checkServerTrusted(X509Certificate[] chain, String kind) {}
            public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
        };
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {trusting}, null);
        int port = Integer.parseInt(arguments[0]);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", port)) {
            if (arguments.length > 1) {
                socket.setEnabledProtocols(java.util.Arrays.copyOfRange(arguments, 1, arguments.length));
            }
            socket.startHandshake();
        }
    }
}

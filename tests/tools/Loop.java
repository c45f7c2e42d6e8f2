import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * DynamoDBLocal on loopback only and on a free port, which it prints; by itself it listens on every interface and refuses
 * port 0. It keeps nothing, and ends when its standard input does: with the process that started it, however that ended.
 */
public class Loop {
    public static void main(String[] arguments) throws Exception {
        String[] options = {"-inMemory", "-sharedDb", "-disableTelemetry", "-port", "8000"};
        DynamoDBProxyServer proxy = ServerRunner.createServerFromCommandLineArgs(options);
        var field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        var connector = (ServerConnector) ((Server) field.get(proxy)).getConnectors()[0];
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        proxy.start();
        System.out.println("listening on 127.0.0.1:" + connector.getLocalPort());
        Thread parent = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException gone) {
                // A pipe that breaks is a parent that ended.
            }
            System.exit(0);
        });
        parent.setDaemon(true);
        parent.start();
        proxy.join();
    }
}

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Calls a method through the agent's HTTP port: java Client.java PORT SERVICE METHOD ARGUMENTS [GROUP]. Arguments: a JSON array. */
public class Client {
    private static final HttpClient AGENT = HttpClient.newHttpClient();

    /** The value as JSON; Java has no reader for it. The problem document (RFC 9457) of a call that failed is the exception's message. */
    static String call(String port, String service, String method, String arguments, String group) throws Exception {
        var query = group.isEmpty() ? "" : "?group=" + URLEncoder.encode(group, UTF_8);
        var target = URI.create("http://127.0.0.1:" + port + "/v1/call/" + service + "/" + method + query);
        var request = HttpRequest.newBuilder(target)
            .header("Content-Type", "application/json")
            .timeout(Duration.ofSeconds(5))
            .POST(HttpRequest.BodyPublishers.ofString(arguments));
        var answer = AGENT.send(request.build(), BodyHandlers.ofString(UTF_8));
        if (answer.statusCode() != 200) throw new IllegalStateException(answer.body());
        return answer.body();
    }

    public static void main(String[] args) {
        try {
            var value = call(args[0], args[1], args[2], args[3], args.length > 4 ? args[4] : "");
            System.out.writeBytes((value + "\n").getBytes(UTF_8));
        } catch (Exception error) {
            System.err.println(error.getMessage() == null ? "no answer: " + error : error.getMessage());
            System.exit(1);
        }
    }
}

// Not the default package: its classes would be looked for in every jar.
package parley;

import org.eclipse.hawkbit.autoconfigure.security.EnableHawkbitManagedSecurityConfiguration;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

@SpringBootApplication
@EnableHawkbitManagedSecurityConfiguration
public class HawkbitServer {
  public static void main(String[] args) {
    SpringApplication.run(HawkbitServer.class, args);
  }
}

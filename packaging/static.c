/* For a static program alone. The C library looks hosts up by the modules that /etc/nsswitch.conf names, and loads them: those of
   the machine it runs on, which are made for that machine's C library and not for the one in the program, and end it by SIGFPE.
   What is in the program itself are the modules for /etc/hosts, /etc/passwd and DNS, so it keeps to these. */
#include <nss.h>

__attribute__((constructor)) static void keep_to_what_is_in_the_program(void)
{
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
}

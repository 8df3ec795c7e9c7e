/* A slow disk: preloaded, makes each fsync and fdatasync take 2 ms longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

typedef int sync_function(int);

static int slowly(const char *name, int file)
{
	struct timespec left = { .tv_nsec = 2 * 1000 * 1000 };
	sync_function *real = (sync_function *)dlsym(RTLD_NEXT, name);

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
	return real(file);
}

int fsync(int file)
{
	return slowly("fsync", file);
}

int fdatasync(int file)
{
	return slowly("fdatasync", file);
}

/*
 * recording-fs — a file system that passes everything on to a directory and writes down, in order, what changed.
 *
 *   recording-fs <mount point> <backing directory> <log file> <position file>
 *
 * It keeps nothing back and loses nothing: what a machine without power could show is made from the log afterwards
 * (crash-model.ts). One thread serves one request after the other, so the log's order is the order in which calls took
 * effect, and a call that has returned stands in the log. Nothing is really flushed: fsync is an entry in the log.
 *
 * The kernel's cache for pages stays on (SQLite maps its -shm file), write-back caching stays off: write(2) reaches us before
 * it returns. Stores into a shared mapping reach us when the kernel writes the page back, as on a disk.
 *
 * The position file holds the number of entries so far, 8 octets little-endian, for whoever reads it at any time.
 * Standard output says "mounted" when the mount point may be used. SIGTERM unmounts; so does the end of the parent.
 *
 * An entry, little-endian (numbers as on x86-64 and arm64):
 *
 *   offset  octets
 *        0       4  length of the entry
 *        4       2  kind, see below
 *        6       2  1 when a WRITE was made through a descriptor with O_SYNC or O_DSYNC
 *        8      24  three numbers: a, b, c
 *       32       4  length of the first name, which follows the head
 *       36       4  length of the second name, which follows the first
 *                   the rest is the data of a WRITE
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum kind {
	ROOT = 1,  /* a: inode */
	CREATE,    /* a: directory, b: inode, c: mode; name */
	MKDIR,     /* a: directory, b: inode, c: mode; name */
	SYMLINK,   /* a: directory, b: inode; name, target */
	LINK,      /* a: directory, b: inode; name */
	UNLINK,    /* a: directory; name */
	RMDIR,     /* a: directory; name */
	RENAME,    /* a: old directory, b: new directory; old name, new name */
	WRITE,     /* a: inode, b: offset; data */
	TRUNCATE,  /* a: inode, b: size */
	ALLOCATE,  /* a: inode, b: size, when it is larger than before */
	CHMOD,     /* a: inode, b: mode */
	FSYNC,     /* a: inode; fdatasync too: what it leaves out is not modelled */
	FSYNCDIR,  /* a: inode */
};

struct head {
	uint32_t length;
	uint16_t kind;
	uint16_t flags;
	uint64_t a, b, c;
	uint32_t name, other;
} __attribute__((packed));

/* What the kernel knows: a file of the backing directory, as long as it has lookups. The root is never forgotten. */
struct node {
	int fd; /* O_PATH */
	ino_t ino;
	uint64_t lookups;
	struct node *next;
};

/* An open file. */
struct handle {
	int fd;
	int synchronous;
	int written_through; /* The kernel calls fsync by itself after a synchronous write; that one is no promise for the rest. */
};

#define BUCKETS 65536
#define LOG_BUFFER (4 << 20)
/* Nobody else changes the backing directory. */
#define FOREVER 86400.0

static struct node *nodes[BUCKETS];
static struct node root;
static FILE *entries;
static volatile uint64_t *position;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void record(enum kind kind, int flags, uint64_t a, uint64_t b, uint64_t c, const char *name, const char *other,
                   const void *data, size_t size)
{
	struct head head = {.kind = kind, .flags = flags, .a = a, .b = b, .c = c};
	head.name = name ? strlen(name) : 0;
	head.other = other ? strlen(other) : 0;
	head.length = sizeof head + head.name + head.other + size;
	if (fwrite(&head, sizeof head, 1, entries) != 1 || fwrite(name ? name : "", 1, head.name, entries) != head.name ||
	    fwrite(other ? other : "", 1, head.other, entries) != head.other || fwrite(data ? data : "", 1, size, entries) != size)
		die("log"); /* A log with a hole would prove anything. */
	*position = *position + 1;
}

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

static int fd_of(fuse_ino_t ino)
{
	return node_of(ino)->fd;
}

static struct handle *handle_of(struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* A path by which a call that does not take O_PATH descriptors reaches the file behind one. */
static const char *path_of(int fd)
{
	static char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return path;
}

static ino_t ino_at(int fd)
{
	struct stat st;
	if (fstatat(fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
		die("stat");
	return st.st_ino;
}

static int lookup(fuse_ino_t parent, const char *name, struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof *entry);
	entry->attr_timeout = entry->entry_timeout = FOREVER;
	int fd = openat(fd_of(parent), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fstatat(fd, "", &entry->attr, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
		int error = errno;
		close(fd);
		return error;
	}
	struct node **bucket = &nodes[entry->attr.st_ino % BUCKETS], *node = *bucket;
	while (node && node->ino != entry->attr.st_ino)
		node = node->next;
	if (node) {
		close(fd);
	} else {
		node = calloc(1, sizeof *node);
		*node = (struct node){.fd = fd, .ino = entry->attr.st_ino, .next = *bucket};
		*bucket = node;
	}
	node->lookups++;
	entry->ino = (uintptr_t)node;
	return 0;
}

static void forget(fuse_ino_t ino, uint64_t count)
{
	struct node *node = node_of(ino);
	if (node == &root || (node->lookups -= count) > 0)
		return;
	struct node **link = &nodes[node->ino % BUCKETS];
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	close(node->fd);
	free(node);
}

static void reply_entry(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = lookup(parent, name, &entry);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_entry(req, &entry);
}

static void on_init(void *data, struct fuse_conn_info *connection)
{
	(void)data;
	connection->want &= ~FUSE_CAP_WRITEBACK_CACHE;
	puts("mounted");
	fflush(stdout);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_entry(req, parent, name);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(ino, count);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
	struct stat st;
	if (fstatat(fd_of(ino), "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	reply_attr(req, ino);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	int fd = fd_of(ino);
	ino_t id = node_of(ino)->ino;
	(void)fi;
	if (to_set & FUSE_SET_ATTR_MODE) {
		if (chmod(path_of(fd), attr->st_mode) != 0)
			goto failed;
		record(CHMOD, 0, id, attr->st_mode & 07777, 0, NULL, NULL, NULL, 0);
	}
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
		gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;
		if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
			goto failed;
	}
	if (to_set & FUSE_SET_ATTR_SIZE) {
		if (truncate(path_of(fd), attr->st_size) != 0)
			goto failed;
		record(TRUNCATE, 0, id, attr->st_size, 0, NULL, NULL, NULL, 0);
	}
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
		if (to_set & FUSE_SET_ATTR_ATIME_NOW)
			times[0].tv_nsec = UTIME_NOW;
		else if (to_set & FUSE_SET_ATTR_ATIME)
			times[0] = attr->st_atim;
		if (to_set & FUSE_SET_ATTR_MTIME_NOW)
			times[1].tv_nsec = UTIME_NOW;
		else if (to_set & FUSE_SET_ATTR_MTIME)
			times[1] = attr->st_mtim;
		if (utimensat(AT_FDCWD, path_of(fd), times, 0) != 0)
			goto failed;
	}
	return reply_attr(req, ino);
failed:
	fuse_reply_err(req, errno);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096];
	ssize_t length = readlinkat(fd_of(ino), "", target, sizeof target - 1);
	if (length < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[length] = '\0';
	fuse_reply_readlink(req, target);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (mkdirat(fd_of(parent), name, mode) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	struct fuse_entry_param entry;
	if (lookup(parent, name, &entry) != 0)
		die("lookup");
	record(MKDIR, 0, node_of(parent)->ino, entry.attr.st_ino, entry.attr.st_mode & 07777, name, NULL, NULL, 0);
	fuse_reply_entry(req, &entry);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	if (symlinkat(target, fd_of(parent), name) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	struct fuse_entry_param entry;
	if (lookup(parent, name, &entry) != 0)
		die("lookup");
	record(SYMLINK, 0, node_of(parent)->ino, entry.attr.st_ino, 0, name, target, NULL, 0);
	fuse_reply_entry(req, &entry);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	if (linkat(AT_FDCWD, path_of(fd_of(ino)), fd_of(parent), name, AT_SYMLINK_FOLLOW) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	record(LINK, 0, node_of(parent)->ino, node_of(ino)->ino, 0, name, NULL, NULL, 0);
	reply_entry(req, parent, name);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (unlinkat(fd_of(parent), name, 0) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	record(UNLINK, 0, node_of(parent)->ino, 0, 0, name, NULL, NULL, 0);
	fuse_reply_err(req, 0);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (unlinkat(fd_of(parent), name, AT_REMOVEDIR) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	record(RMDIR, 0, node_of(parent)->ino, 0, 0, name, NULL, NULL, 0);
	fuse_reply_err(req, 0);
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                      unsigned int flags)
{
	if (flags & ~RENAME_NOREPLACE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	struct stat from, to;
	int same = fstatat(fd_of(parent), name, &from, AT_SYMLINK_NOFOLLOW) == 0 &&
	           fstatat(fd_of(new_parent), new_name, &to, AT_SYMLINK_NOFOLLOW) == 0 && from.st_ino == to.st_ino;
	if (renameat2(fd_of(parent), name, fd_of(new_parent), new_name, flags) != 0) {
		fuse_reply_err(req, errno);
		return;
	}
	/* rename(2) between two names of one file does nothing. */
	if (!same)
		record(RENAME, 0, node_of(parent)->ino, node_of(new_parent)->ino, 0, name, new_name, NULL, 0);
	fuse_reply_err(req, 0);
}

/* The kernel gives the offset of appends itself, and our own flushes would cost time and prove nothing. */
static int backing_flags(int flags)
{
	return (flags & ~(O_APPEND | O_SYNC | O_DSYNC | O_NOFOLLOW | O_DIRECT)) | O_CLOEXEC;
}

static void new_handle(struct fuse_file_info *fi, int fd)
{
	struct handle *handle = calloc(1, sizeof *handle);
	*handle = (struct handle){.fd = fd, .synchronous = (fi->flags & (O_SYNC | O_DSYNC)) != 0};
	fi->fh = (uintptr_t)handle;
	fi->keep_cache = 1;
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	int is_new = faccessat(fd_of(parent), name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
	int fd = openat(fd_of(parent), name, backing_flags(fi->flags) | O_CREAT, mode);
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	struct fuse_entry_param entry;
	if (lookup(parent, name, &entry) != 0)
		die("lookup");
	if (is_new)
		record(CREATE, 0, node_of(parent)->ino, entry.attr.st_ino, entry.attr.st_mode & 07777, name, NULL, NULL, 0);
	else if (fi->flags & O_TRUNC)
		record(TRUNCATE, 0, entry.attr.st_ino, 0, 0, NULL, NULL, NULL, 0);
	new_handle(fi, fd);
	fuse_reply_create(req, &entry, fi);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = open(path_of(fd_of(ino)), backing_flags(fi->flags));
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	if (fi->flags & O_TRUNC)
		record(TRUNCATE, 0, node_of(ino)->ino, 0, 0, NULL, NULL, NULL, 0);
	new_handle(fi, fd);
	fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec source = FUSE_BUFVEC_INIT(size);
	(void)ino;
	source.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	source.buf[0].fd = handle_of(fi)->fd;
	source.buf[0].pos = offset;
	fuse_reply_data(req, &source, FUSE_BUF_NO_SPLICE);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
	struct handle *handle = handle_of(fi);
	ssize_t written = pwrite(handle->fd, data, size, offset);
	if (written < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	record(WRITE, handle->synchronous, node_of(ino)->ino, offset, 0, NULL, NULL, data, written);
	handle->written_through = handle->synchronous;
	fuse_reply_write(req, written);
}

static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close(handle_of(fi)->fd);
	free(handle_of(fi));
	fuse_reply_err(req, 0);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	if (handle_of(fi)->written_through)
		handle_of(fi)->written_through = 0;
	else
		record(FSYNC, 0, node_of(ino)->ino, 0, 0, NULL, NULL, NULL, 0);
	fuse_reply_err(req, 0);
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	if (mode != 0) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	int error = posix_fallocate(handle_of(fi)->fd, offset, length);
	if (error == 0)
		record(ALLOCATE, 0, node_of(ino)->ino, offset + length, 0, NULL, NULL, NULL, 0);
	fuse_reply_err(req, error);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = openat(fd_of(ino), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uintptr_t)dir;
	fuse_reply_open(req, fi);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	DIR *dir = (DIR *)(uintptr_t)fi->fh;
	char *page = malloc(size);
	size_t used = 0;
	(void)ino;
	seekdir(dir, offset);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat st = {.st_ino = entry->d_ino, .st_mode = entry->d_type << 12};
		size_t length = fuse_add_direntry(req, page + used, size - used, entry->d_name, &st, entry->d_off);
		if (length > size - used)
			break;
		used += length;
	}
	fuse_reply_buf(req, page, used);
	free(page);
}

static void on_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	closedir((DIR *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static void on_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync, (void)fi;
	record(FSYNCDIR, 0, node_of(ino)->ino, 0, 0, NULL, NULL, NULL, 0);
	fuse_reply_err(req, 0);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	(void)ino;
	if (fstatvfs(root.fd, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

/* What is missing here the kernel refuses (mknod, xattr) or does by itself (locks, lseek, copy_file_range). */
static const struct fuse_lowlevel_ops operations = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mkdir = on_mkdir,
	.symlink = on_symlink,
	.link = on_link,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.create = on_create,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.flush = on_flush,
	.release = on_release,
	.fsync = on_fsync,
	.fallocate = on_fallocate,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.releasedir = on_releasedir,
	.fsyncdir = on_fsyncdir,
	.statfs = on_statfs,
};

static volatile uint64_t *shared_counter(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0)
		die(path);
	void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die(path);
	close(fd);
	return page;
}

int main(int count, char **arguments)
{
	if (count != 5) {
		fprintf(stderr, "usage: recording-fs <mount point> <backing directory> <log file> <position file>\n");
		return 64;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	umask(0);

	root.fd = open(arguments[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root.fd < 0)
		die(arguments[2]);
	root.ino = ino_at(root.fd);
	entries = fopen(arguments[3], "we");
	if (!entries)
		die(arguments[3]);
	setvbuf(entries, NULL, _IOFBF, LOG_BUFFER);
	position = shared_counter(arguments[4]);
	record(ROOT, 0, root.ino, 0, 0, NULL, NULL, NULL, 0);

	char *options[] = {arguments[0], "-ofsname=recording-fs,default_permissions", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, options);
	struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
	if (!session || fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, arguments[1]) != 0)
		return 1;
	int ended = fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	if (fclose(entries) != 0)
		die(arguments[3]);
	return ended < 0 ? 1 : 0;
}

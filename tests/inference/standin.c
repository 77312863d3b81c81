/* A stand-in for libedgetpu and for a GPU delegate: what ctypes and the engines see of them, with nothing behind it.

   STANDIN_MODE    what it does:
     refuse        gives a reason and no delegate; "silent" or nothing: neither
     idle          a delegate that takes no operator; "some": the first; "all": every one
     newer         takes all and fails to prepare, as libedgetpu does with a model for a newer runtime
     fail-invoke   takes all and fails at each invoke
     crash-open, crash-invoke, hang-open, hang-invoke
   STANDIN_AFTER   how many invokes go well before one crashes, hangs or fails
   STANDIN_FILE    names a file that receives the options, one in a line
   STANDIN_OUTPUT  names a file with the bytes of its outputs, one after the other; without it they are zeros
   STANDIN_DEVICES what is plugged in: "usb /sys/bus/usb/devices/2-1;pci /dev/apex_0"; by default one stick
   STANDIN_VERSION what edgetpu_version says */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sources: tensorflow/lite/core/c/common.h of TensorFlow 2.14 (the fields that are used, and all that lie before them);
   google-coral/libedgetpu, tflite/public/edgetpu_c.h. */
typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate {
  void* data;
  int (*prepare)(Context* context, struct Delegate* delegate);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void* opaque_builder;
} Delegate;
typedef struct { IntArray *inputs, *outputs; } Node;
typedef struct {
  int type;
  void* data;
  IntArray* dims;
  float scale;
  int32_t zero_point;
  int allocation;
  size_t bytes;
  const void* mapped;
  const char* name;
  Delegate* delegate;
  int handle;
  char is_stale, is_variable;
  int quantization_type;
  void *quantization, *sparsity, *signature;
} Tensor;
typedef struct {
  void* (*init)(Context*, const char*, size_t);
  void (*free)(Context*, void*);
  int (*prepare)(Context*, Node*);
  int (*invoke)(Context*, Node*);
  void* profile;
  int32_t builtin_code;
  const char* custom_name;
  int version;
  char newer_fields[64];
} Registration;
struct Context {
  size_t tensors_size;
  int (*get_execution_plan)(Context*, IntArray**);
  Tensor* tensors;
  void *impl, *resize;
  void (*report)(Context*, const char*, ...);
  void *add_tensors, *get_node;
  int (*replace)(Context*, Registration, const IntArray*, Delegate*);
};
typedef struct { int type; const char* path; } Device;

static int mode_is(const char* name) {
  const char* mode = getenv("STANDIN_MODE");
  return mode && !strcmp(mode, name);
}

static void crash_or_hang(const char* crash, const char* hang) {
  if (mode_is(crash)) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
  while (mode_is(hang)) pause();
}

static int invokes;

static int prepare_kernel(Context* context, Node* node) {
  if (!mode_is("newer")) return 0;
  context->report(context, "Failed precondition: Package requires runtime version (14), "
                           "which is newer than this runtime version (13).");
  return 1;
}

static int invoke_kernel(Context* context, Node* node) {
  const char* after = getenv("STANDIN_AFTER");
  int is_time = ++invokes > (after ? atoi(after) : 0);
  if (is_time) crash_or_hang("crash-invoke", "hang-invoke");
  if (is_time && mode_is("fail-invoke")) {
    context->report(context, "the stick has gone");
    return 1;
  }
  const char* path = getenv("STANDIN_OUTPUT");
  FILE* file = path ? fopen(path, "rb") : NULL;
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor* tensor = &context->tensors[node->outputs->data[i]];
    memset(tensor->data, 0, tensor->bytes);
    if (file) fread(tensor->data, 1, tensor->bytes, file);
  }
  if (file) fclose(file);
  return 0;
}

static int take(Context* context, Delegate* delegate) {
  if (mode_is("idle")) return 0;
  IntArray *plan, *taken;
  if (context->get_execution_plan(context, &plan)) return 1;
  taken = calloc(1, sizeof(IntArray) + sizeof(int) * plan->size);
  taken->size = mode_is("some") ? 1 : plan->size;
  memcpy(taken->data, plan->data, sizeof(int) * taken->size);
  Registration kernel = {.prepare = prepare_kernel, .invoke = invoke_kernel, .builtin_code = 51, .version = 1};
  kernel.custom_name = "Standin";
  int status = context->replace(context, kernel, taken, delegate);
  free(taken);
  return status;
}

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  const char *mode = getenv("STANDIN_MODE"), *path = getenv("STANDIN_FILE");
  FILE* file = path ? fopen(path, "w") : NULL;
  for (size_t i = 0; file && i < count; i++) fprintf(file, "%s=%s\n", keys[i], values[i]);
  if (file) fclose(file);
  invokes = 0;
  crash_or_hang("crash-open", "hang-open");
  if (mode_is("refuse")) report("the stick is asleep");
  if (!mode || mode_is("refuse") || mode_is("silent")) return NULL;
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = take;
  delegate->flags = 1; /* tensors of open sizes are allowed */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { free(delegate); }

Device* edgetpu_list_devices(size_t* count) {
  static char text[1024];
  const char* listed = getenv("STANDIN_DEVICES");
  snprintf(text, sizeof text, "%s", listed ? listed : "usb /sys/bus/usb/devices/2-1");
  Device* devices = calloc(8, sizeof(Device));
  *count = 0;
  for (char* one = strtok(text, ";"); one && *count < 8; one = strtok(NULL, ";"))
    devices[(*count)++] = (Device){!strncmp(one, "usb", 3), one + 4};
  return devices;
}

void edgetpu_free_devices(Device* devices) { free(devices); }

const char* edgetpu_version(void) {
  const char* version = getenv("STANDIN_VERSION");
  return version ? version : "BuildLabel(COMPILER=stand-in,DATE=today,TIME=now), RuntimeVersion(14)";
}

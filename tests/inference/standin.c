/* A stand-in for libedgetpu and for a GPU delegate: what ctypes and the engines see of them, with nothing behind it.

   STANDIN_MODE "refuse" gives a reason and no delegate, "silent" neither, "idle" a delegate that takes no operator.
   STANDIN_FILE names a file that receives the options, one in a line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Delegate { /* Source: TfLiteDelegate in tensorflow/lite/core/c/common.h of TensorFlow 2.14. */
  void* data;
  int (*prepare)(void* context, struct Delegate* delegate);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void* opaque_builder;
} Delegate;

typedef struct { /* Source: edgetpu_device in google-coral/libedgetpu, tflite/public/edgetpu_c.h. */
  int type;
  const char* path;
} Device;

static int take_nothing(void* context, Delegate* delegate) { return 0; }

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  const char *mode = getenv("STANDIN_MODE"), *path = getenv("STANDIN_FILE");
  FILE* file = path ? fopen(path, "w") : NULL;
  for (size_t i = 0; file && i < count; i++) fprintf(file, "%s=%s\n", keys[i], values[i]);
  if (file) fclose(file);
  if (mode && !strcmp(mode, "refuse")) report("the stick is asleep");
  if (!mode || strcmp(mode, "idle")) return NULL;
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->prepare = take_nothing;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { free(delegate); }

Device* edgetpu_list_devices(size_t* count) {
  Device* device = calloc(1, sizeof(Device));
  *device = (Device){1, "/sys/bus/usb/devices/2-1"};
  *count = 1;
  return device;
}

void edgetpu_free_devices(Device* devices) { free(devices); }

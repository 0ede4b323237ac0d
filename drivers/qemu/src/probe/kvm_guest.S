# The smallest guest that does what every real one does first: real mode, protected mode, long mode with paging, and a
# timer interrupt. It says R, P, L, I on the serial port and then exits through isa-debug-exit. Opening /dev/kvm, or
# running in real mode only, proves nothing: there are hosts whose KVM hangs at the change to protected mode.
#
# kvm_guest.bin is what stands before the last 16 bytes, without the zeros at its end:
#   as --64 -o k.o kvm_guest.S && ld -Ttext=0 -e 0 --oformat binary -o k.bin k.o && head -c 384 k.bin > kvm_guest.bin
# A ROM of 64 KiB, mapped at 0xf0000 and below 4 GiB. It is entered 16 bytes before its end.
.code16
.org 0
start16:
  cli
  movw $0x3f8, %dx
  movb $'R', %al
  outb %al, %dx
  movw $0xf000, %ax
  movw %ax, %ds
  lgdtl gdt_desc
  movl %cr0, %eax
  orb $1, %al
  movl %eax, %cr0
  ljmpl $0x08, $(0xf0000 + start32)
.code32
start32:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $0x7000, %esp
  movw $0x3f8, %dx
  movb $'P', %al
  outb %al, %dx
  # Page tables at 0x1000: the first GiB onto itself, in pages of 2 MiB.
  xorl %eax, %eax
  movl $0x1000, %edi
  movl $3072, %ecx
  rep stosl
  movl $0x2003, 0x1000
  movl $0x3003, 0x2000
  movl $0x3000, %edi
  movl $0x83, %eax
  movl $512, %ecx
1: movl %eax, (%edi)
  addl $0x200000, %eax
  addl $8, %edi
  loop 1b
  movl %cr4, %eax
  orl $0x20, %eax
  movl %eax, %cr4
  movl $0x1000, %eax
  movl %eax, %cr3
  movl $0xc0000080, %ecx
  rdmsr
  orl $0x100, %eax
  wrmsr
  movl %cr0, %eax
  orl $0x80000000, %eax
  movl %eax, %cr0
  ljmpl $0x18, $(0xf0000 + start64)
.code64
start64:
  movw $0x3f8, %dx
  movb $'L', %al
  outb %al, %dx
  # Timer channel 0 to interrupt vector 0x20.
  movl $0x4000, %edi
  xorl %eax, %eax
  movl $1024, %ecx
  rep stosl
  leaq handler(%rip), %rax
  movl $0x4000 + 0x20*16, %edi
  movw %ax, (%rdi)
  movw $0x18, 2(%rdi)
  movw $0x8e00, 4(%rdi)
  shrq $16, %rax
  movw %ax, 6(%rdi)
  movw $0xfff, 0x6ff0
  movq $0x4000, 0x6ff2
  lidt 0x6ff0
  movb $0x11, %al; outb %al, $0x20; outb %al, $0xa0
  movb $0x20, %al; outb %al, $0x21
  movb $0x28, %al; outb %al, $0xa1
  movb $4, %al; outb %al, $0x21
  movb $2, %al; outb %al, $0xa1
  movb $1, %al; outb %al, $0x21; outb %al, $0xa1
  movb $0xfe, %al; outb %al, $0x21
  movb $0xff, %al; outb %al, $0xa1
  movb $0x30, %al; outb %al, $0x43
  movb $0, %al; outb %al, $0x40
  movb $0x10, %al; outb %al, $0x40
  # The PIC's interrupts reach the CPU without a set-up local APIC only if that is off.
  movl $0x1b, %ecx
  rdmsr
  andl $~0x800, %eax
  wrmsr
  sti
2: hlt
  jmp 2b
handler:
  movw $0x3f8, %dx
  movb $'I', %al
  outb %al, %dx
  movw $0x501, %dx
  movb $0x2a, %al
  outb %al, %dx
3: hlt
  jmp 3b
.balign 8
gdt:
  .quad 0
  .quad 0x00cf9a000000ffff
  .quad 0x00cf92000000ffff
  .quad 0x00af9a000000ffff
gdt_desc:
  .word 31
  .long 0xf0000 + gdt
.org 0xfff0
.code16
  ljmp $0xf000, $start16
.org 0x10000
